package image

import (
	"context"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/image/registry"
)

// Verify finds out whether the image that ref names at digest is signed as a
// policy wants: the manifest or index with the digest, or else the manifest for
// the wanted platform in that index. Nothing of its layers is fetched. A refusal
// is a *cosign.UnsignedError.
func Verify(ctx context.Context, ref, digest string, policy cosign.Policy, opts Options) error {
	opts = opts.withDefaults()
	want, err := v1.NewHash(digest)
	if err != nil {
		return fmt.Errorf("verify %s: digest %q is not sha256:<64 hex digits>", untrusted.CleanText(ref), untrusted.Printable(digest, 90))
	}
	err = registry.Verify(ctx, ref, want, policy, opts.registry())
	if !errors.As(err, new(*cosign.UnsignedError)) {
		return err
	}
	parsed, s, failed := registry.NewSources(ctx, ref, opts.registry())
	if failed != nil {
		return failed
	}
	_, platform, failed := platformManifest(ctx, s, want, parsed.Name(), opts.Platform)
	if failed != nil || platform == want {
		return err
	}
	second := registry.Verify(ctx, ref, platform, policy, opts.registry())
	if unsigned := new(cosign.UnsignedError); errors.As(second, &unsigned) && unsigned.Reason == nil {
		return err // that of the index says more
	}
	return second
}
