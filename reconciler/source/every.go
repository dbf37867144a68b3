package source

import (
	"cmp"
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/trust"
)

// every verifies, where that is asked for, all commits that came since the last
// one which is known to be good: on all sides of merges.
func (j *judge) every(ctx context.Context, found candidate, applied string) error {
	since := j.since(applied)
	keys, err := j.keys()
	if keys == nil || err != nil || !j.opts.Every || since.IsZero() || since == found.Commit {
		return err
	}
	old, err := ancestors(ctx, found.at, since)
	if err != nil {
		return fmt.Errorf("verifying the commits since %s: %w", since, err)
	}
	for at, err := range found.at.History(ctx, found.Commit, old) {
		if err == nil && (at.Commit != found.Commit || !found.signed) {
			err = j.oneOf(keys, found, at)
		}
		if err == nil && !at.Lacking.IsZero() && !old[at.Lacking] {
			err = fmt.Errorf("the remote lacks its parent %s, which nobody can verify; follow a repo with the whole history", at.Lacking)
		}
		if err != nil {
			return j.between(at.Commit, since, err)
		}
	}
	return nil
}

// since is the last commit that is known to be good: zero if there is none yet,
// and the tip alone has to be signed.
func (j *judge) since(applied string) plumbing.Hash {
	if head := j.clone.Head(); applied == "" && !head.IsZero() {
		return head
	}
	return plumbing.NewHash(cmp.Or(applied, j.opts.MinRevision))
}

// ancestors are a commit and all before it.
func ancestors(ctx context.Context, in *clone.Clone, of plumbing.Hash) (map[plumbing.Hash]bool, error) {
	all := map[plumbing.Hash]bool{}
	if !in.Has(of) {
		return all, nil
	}
	for at, err := range in.History(ctx, of, nil) {
		if err != nil {
			return nil, err
		}
		all[at.Commit] = true
	}
	return all, nil
}

func (j *judge) oneOf(keys *trust.Keys, found candidate, at clone.Link) error {
	c, err := found.at.Commit(at.Commit)
	if err != nil {
		return err
	}
	return keys.Commit(c)
}

func (j *judge) between(commit, since plumbing.Hash, err error) error {
	return &UntrustedError{Hash: commit.String(), Since: since.String(), Reason: err.Error(), TrustedKeys: j.opts.TrustedKeys}
}
