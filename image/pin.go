package image

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// Pinned returns a reference that means one digest and still says where that
// came from: registry/repository:tag@sha256:….
func Pinned(ref, digest string) (string, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return "", fmt.Errorf("image reference %q: %s; write it as registry/name:tag or registry/name@sha256:…", untrusted.CleanText(ref), untrusted.CleanText(err.Error()))
	}
	full := parsed.Context().Name()
	if tag, ok := parsed.(name.Tag); ok {
		full += ":" + tag.TagStr()
	}
	// Docker's registry is known by this name to all engines.
	if rest, ok := strings.CutPrefix(full, name.DefaultRegistry+"/"); ok {
		full = "docker.io/" + rest
	}
	return full + "@" + digest, nil
}
