package wanted

import (
	"context"

	"github.com/gitboot/gitboot/reconciler/source"
)

// At resolves what a revision wants that is in the repo's clone already. Nobody
// is asked for it.
func (r *Repo) At(ctx context.Context, clone, revision string) (*Wanted, error) {
	src, err := source.Open(ctx, source.Options{URL: clone, Dir: clone, Log: r.Log})
	if err != nil {
		return nil, err
	}
	files, err := src.Files(revision, r.Subdir)
	if err != nil {
		return nil, err
	}
	wants, err := r.resolve(ctx, files)
	return &Wanted{Revision: source.Revision{Hash: revision}, Wants: wants, Files: files}, err
}

// Of is what the revision wants of this machine that was read for another.
func (r *Repo) Of(ctx context.Context, other *Wanted) (*Wanted, error) {
	w := &Wanted{Revision: other.Revision, Files: other.Files}
	return w, r.understand(ctx, w)
}
