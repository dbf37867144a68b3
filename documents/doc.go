// Package documents keeps what registries say of images: manifests, indexes,
// configurations, signatures, descriptions of what is ready-made, block maps. With them
// and the objects of a stage, a machine can be for others what the registry was for it,
// when that is gone or was never reached.
//
//	sha256/<hex>    a document, exactly as it came, named by its content's sha256
//	<key>.json      what belongs to one image in one repository: which documents, and
//	                by which tags they were found; the key is a hash of both names
//
// A document appears before the record that names it, whole and durable, and goes after
// it. What is read is compared with its name: a damaged one is one that is not there.
// Nothing depends on these files: who lacks one asks the registry.
package documents
