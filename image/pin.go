package image

import (
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/registry"
)

// Pinned returns a reference that means one digest and still says where that
// came from: registry/repository:tag@sha256:….
func Pinned(ref, digest string) (string, error) {
	parsed, err := registry.ParseReference(ref)
	if err != nil {
		return "", err
	}
	full := parsed.Context().Name()
	if tag, ok := parsed.Reference.(name.Tag); ok && parsed.Among == nil {
		full += ":" + tag.TagStr()
	}
	// Docker's registry is known by this name to all engines.
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		full = "docker.io/" + rest
	}
	return full + "@" + digest, nil
}

// HasDigest reports whether a reference says itself which digest it means.
func HasDigest(ref string) bool {
	parsed, err := registry.ParseReference(ref)
	if err != nil {
		return false
	}
	_, ok := parsed.Reference.(name.Digest)
	return ok
}
