package image

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/image/registry"
)

// An Original is a document exactly as a registry has it.
type Original = registry.Original

// Repository is where a reference's image lies, by its name in full, and tag the one that
// it names, "" for a digest or a constraint.
func Repository(ref string) (repository, tag string, err error) {
	parsed, err := registry.ParseReference(ref)
	if err != nil {
		return "", "", err
	}
	if named, ok := parsed.Reference.(interface{ TagStr() string }); ok && parsed.Among == nil {
		tag = named.TagStr()
	}
	return parsed.Context().Name(), tag, nil
}

// Belonging fetches what was published about an image that was opened at a digest: its
// signatures, and what others have made of it, but for the objects themselves. Each is
// bounded, and nothing says whether it is worth anything. Nothing is asked twice, and block
// maps that were fetched are not fetched again.
func Belonging(ctx context.Context, ref, named string, img *Image, opts Options) ([]Original, error) {
	var subjects []v1.Hash
	for _, digest := range []string{img.Digest, named} {
		h, err := v1.NewHash(digest)
		if err != nil {
			return nil, fmt.Errorf("what belongs to %s: digest %q is not sha256:<64 hex digits>", untrusted.CleanText(ref), untrusted.Printable(digest, 90))
		}
		subjects = append(subjects, h)
	}
	opts = opts.withDefaults()
	opts.Timing.Attempts = 1
	here := map[string][]byte{}
	for _, l := range img.Layers {
		if l.Made != nil && l.Made.blockMap != nil {
			here[l.Made.Blocks.SHA256] = l.Made.blockMap
		}
	}
	found, err := registry.Belonging(ctx, ref, subjects, registry.Documents{Wanted: small, Here: here}, opts.registry())
	if err != nil {
		return nil, fmt.Errorf("what belongs to %s: %w", untrusted.CleanText(ref), err)
	}
	return found, nil
}

// Attachment is an artifact about an image, as a registry would have it, but for its
// files: its manifest and its document, and a signature of them, if somebody signs.
func Attachment(ref string, u ArtifactUpload, subject []byte, by *cosign.Signer) ([]Original, error) {
	manifest, err := u.Manifest(subject)
	if err != nil {
		return nil, err
	}
	made := []Original{{Data: u.Config}, {Manifest: true, Data: manifest}}
	if by == nil {
		return made, nil
	}
	repository, _, err := Repository(ref)
	if err != nil {
		return nil, err
	}
	signed, err := registry.Signed(repository, untrusted.SHA256(manifest), *by)
	return append(made, signed...), err
}

// small reports whether files of a media type are documents.
func small(mediaType string) bool {
	switch mediaType {
	case objects.Type, objects.Blocks, string(cosign.SimpleSigning), string(cosign.Bundle),
		"application/vnd.oci.image.config.v1+json", "application/vnd.oci.empty.v1+json":
		return true
	}
	return false
}

// Noting keeps the manifests that a store gives.
type noting struct {
	store
	originals []Original
}

func (n *noting) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	data, err := n.store.Manifest(ctx, digest)
	if err == nil {
		n.originals = append(n.originals, Original{Manifest: true, Data: data})
	}
	return data, err
}
