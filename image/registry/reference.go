package registry

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/credentials"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/version"
)

// A Reference names an image by a tag, by a digest, or by a constraint on tags
// that are versions.
type Reference struct {
	name.Reference
	// Among is the constraint, nil if there is none. The rest says then where
	// its tags are, and has none.
	Among *version.Constraint
}

// ParseReference reads a reference.
func ParseReference(ref string, opts ...name.Option) (Reference, error) {
	wrong := func(err error) error {
		return fmt.Errorf("image reference %q: %s; write it as registry/name:tag, registry/name:~1.2 or registry/name@sha256:…", untrusted.CleanText(ref), untrusted.CleanText(err.Error()))
	}
	i := strings.LastIndexByte(ref, ':')
	if i <= strings.LastIndexByte(ref, '/') || !version.IsConstraint(ref[i+1:]) {
		parsed, err := name.ParseReference(ref, opts...)
		if err != nil {
			return Reference{}, wrong(err)
		}
		return Reference{parsed, nil}, nil
	}
	among, err := version.Parse(ref[i+1:])
	if err != nil {
		return Reference{}, wrong(err)
	}
	repo, err := name.NewRepository(ref[:i], opts...)
	if err != nil {
		return Reference{}, wrong(err)
	}
	return Reference{repo.Tag(""), &among}, nil
}

// CredentialFile writes, in docker's and podman's format, the credentials that
// some references are asked with, and no others: for an engine that fetches
// them itself. It is nil where there are none.
func CredentialFile(ctx context.Context, refs []string, opts Options) ([]byte, error) {
	var repos []name.Repository
	for _, ref := range refs {
		parsed, err := ParseReference(ref)
		if err != nil {
			return nil, err
		}
		repos = append(repos, parsed.Context())
	}
	return credentials.File(ctx, repos, opts.CredentialsFile)
}

// Name is the reference in full.
func (r Reference) Name() string {
	if r.Among != nil {
		return r.Context().Name() + ":" + r.Among.String()
	}
	return r.Reference.Name()
}
