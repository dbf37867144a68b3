// Package recipe turns what a config repo declares of an image into one
// Containerfile, the files that it needs, and a key.
//
//	p, err := recipe.Prepare(recipe.Recipe{Name: "desktop", FS: files, Containerfiles: …})
//	key := p.Key(recipe.Settings{Base: baseDigest, Engine: "buildah"})
//
// Prepare reads the repo and renders. Nothing is run and nothing is written, so
// that it may be done at every poll. The key names each thing that decides the
// image: equal keys need no build, and where keys differ, Key.Differences says
// in which files.
//
// What Prepare refuses, a Checker finds beforehand, by the same code: all of
// it, with file and line. It reads no file whose content does not matter to
// that.
//
// # Containerfile
//
// Each fragment becomes a stage that begins from the one before; the first
// begins from the build argument GITBOOT_FROM, which is the base. Then follow
// recipe, copy and run in a stage of their own, and last the root file
// system's fixes (fixes.go). All of them begin as root, whatever USER a
// fragment ends with.
package recipe
