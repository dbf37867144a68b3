package wanted

import (
	"context"
	"errors"
	"regexp"
	"sync"

	"github.com/gitboot/gitboot/reconciler/source"
)

var commitForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{7,40}$`) })

// Elsewhere reads what another revision of the config repo wants of this machine: a branch
// or a tag by its name, or a commit of the history that is followed. It is checked
// as what is followed is, and is not followed from then on. It has to come after the
// commit onTop, but after none without one.
func (r *Repo) Elsewhere(ctx context.Context, name, onTop string) (*Wanted, error) {
	w := &Wanted{}
	opts := r.Source
	opts.Look = true
	src, err := source.Open(ctx, opts)
	if err != nil {
		return w, err
	}
	hash := ""
	if commitForm().MatchString(name) {
		if hash, err = src.Commit(ctx, name); err != nil {
			return w, err
		}
	}
	if hash != "" {
		w.Revision, err = src.Revision(ctx, hash)
	} else {
		src, w.Revision, err = beside(ctx, opts, name, onTop)
	}
	if err != nil {
		return w, err
	}
	if w.Files, err = src.Files(w.Revision.Hash, r.Subdir); err != nil {
		return w, err
	}
	w.Wants, err = r.resolve(ctx, w.Files)
	return w, err
}

// beside fetches a ref that is not what is followed. Unless it has to be on top of
// something, one that is on another branch of the history is no rewritten one.
func beside(ctx context.Context, opts source.Options, name, onTop string) (*source.Source, source.Revision, error) {
	opts.Ref = name
	found, err := source.First(ctx, opts, onTop, false)
	if elsewhere := (*source.RewrittenError)(nil); errors.As(err, &elsewhere) && onTop == "" {
		opts.AcceptRewrite = elsewhere.Tip
		found, err = source.First(ctx, opts, "", false)
	}
	return found.Source, found.Revision, err
}
