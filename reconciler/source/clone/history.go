package clone

import (
	"context"
	"iter"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A Link is a commit of a history, and what it came from.
type Link struct {
	Commit  plumbing.Hash
	Parents []plumbing.Hash
	Lacking plumbing.Hash // a parent that the clone has not
}

// History is Ancestry in the clone, as it is now.
func (c *Clone) History(ctx context.Context, tip plumbing.Hash, old map[plumbing.Hash]bool) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		own, err := pack.Open(ctx, c.objects())
		if err != nil {
			yield(Link{}, err)
			return
		}
		defer own.Close()
		Ancestry(own, tip, old)(yield)
	}
}

// Ancestry follows the history back from tip, nearest first, as what is looked
// for is nearly always recent. It ends at what the store lacks, and at what is
// old. An error is the last value.
func Ancestry(from *pack.Store, tip plumbing.Hash, old map[plumbing.Hash]bool) iter.Seq2[Link, error] {
	return func(yield func(Link, error) bool) {
		w := &walker{from: from, seen: map[plumbing.Hash]bool{tip: true}}
		for todo := []plumbing.Hash{tip}; len(todo) > 0; todo = todo[1:] {
			at, err := w.link(todo[0])
			if err != nil {
				yield(Link{}, err)
				return
			}
			if !yield(at, nil) {
				return
			}
			for _, p := range at.Parents {
				if !w.seen[p] && !old[p] && from.Has(p) {
					todo = append(todo, p)
				}
				w.seen[p] = true
			}
		}
	}
}

func (w *walker) link(h plumbing.Hash) (Link, error) {
	at := Link{Commit: h}
	var err error
	if _, at.Parents, err = w.commit(h); err != nil {
		return at, err
	}
	for _, p := range at.Parents {
		if !w.from.Has(p) {
			at.Lacking = p
		}
	}
	return at, nil
}

// IsAncestor reports whether old is tip or in its history, as far as the clone
// has that.
func (c *Clone) IsAncestor(ctx context.Context, old, tip plumbing.Hash) (bool, error) {
	if old == tip {
		return true, nil
	}
	for at, err := range c.History(ctx, tip, nil) {
		if err != nil {
			return false, err
		}
		if slices.Contains(at.Parents, old) {
			return true, nil
		}
	}
	return false, nil
}

// Newest lists up to n commits of the clone, from its HEAD back.
func (c *Clone) Newest(ctx context.Context, n int) ([]plumbing.Hash, error) {
	if c.tip.IsZero() {
		return nil, nil
	}
	var found []plumbing.Hash
	for at, err := range c.History(ctx, c.tip, nil) {
		if err != nil {
			return nil, err
		}
		if found = append(found, at.Commit); len(found) == n {
			break
		}
	}
	return found, nil
}
