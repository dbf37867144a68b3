package source

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A link is a commit of a history, and what it came from.
type link struct {
	commit  plumbing.Hash
	parents []plumbing.Hash
	lacking plumbing.Hash // a parent that the clone has not
}

// history follows the history back from tip, nearest first, as what is looked
// for is nearly always recent. It ends at what the clone lacks. An error is the
// last value.
func (c *clone) history(ctx context.Context, tip plumbing.Hash) iter.Seq2[link, error] {
	return func(yield func(link, error) bool) {
		own, err := pack.Open(ctx, c.objects())
		if err != nil {
			yield(link{}, err)
			return
		}
		defer own.Close()
		w := &walker{from: own, seen: map[plumbing.Hash]bool{tip: true}}
		for todo := []plumbing.Hash{tip}; len(todo) > 0; todo = todo[1:] {
			at, err := w.link(todo[0])
			if err != nil {
				yield(link{}, err)
				return
			}
			if !yield(at, nil) {
				return
			}
			for _, p := range at.parents {
				if !w.seen[p] && own.Has(p) {
					todo = append(todo, p)
				}
				w.seen[p] = true
			}
		}
	}
}

func (w *walker) link(h plumbing.Hash) (link, error) {
	at := link{commit: h}
	content, err := w.from.Read(h, plumbing.CommitObject)
	if err == nil {
		_, at.parents, err = pack.CommitLinks(content)
	}
	if err != nil {
		return at, fmt.Errorf("reading commit %s: %w", h, err)
	}
	for _, p := range at.parents {
		if !w.from.Has(p) {
			at.lacking = p
		}
	}
	return at, nil
}

// isAncestor reports whether old is tip or in its history, as far as the clone
// has that.
func (c *clone) isAncestor(ctx context.Context, old, tip plumbing.Hash) (bool, error) {
	if old == tip {
		return true, nil
	}
	for at, err := range c.history(ctx, tip) {
		if err != nil {
			return false, err
		}
		if slices.Contains(at.parents, old) {
			return true, nil
		}
	}
	return false, nil
}

// Newest lists up to n commits of the clone, from its HEAD back.
func (c *clone) Newest(ctx context.Context, n int) ([]plumbing.Hash, error) {
	if c.tip.IsZero() {
		return nil, nil
	}
	var found []plumbing.Hash
	for at, err := range c.history(ctx, c.tip) {
		if err != nil {
			return nil, err
		}
		if found = append(found, at.commit); len(found) == n {
			break
		}
	}
	return found, nil
}

// A proof says that a tip has MinRevision in its history, which may be long: it
// is followed once for each tip. It lies in the clone, as what it is of does.
type proof struct{ path, text string }

func (o Options) proof(tip plumbing.Hash) proof {
	return proof{filepath.Join(o.Dir, "min-revision"), tip.String() + " has " + o.MinRevision + "\n"}
}

func (p proof) found() bool {
	text, err := os.ReadFile(p.path)
	return err == nil && string(text) == p.text
}

func (p proof) keep() error {
	if p.found() {
		return nil
	}
	return durable.WriteFile(p.path, []byte(p.text), 0o600)
}
