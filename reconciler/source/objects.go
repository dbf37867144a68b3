package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// packWindow is how many earlier objects a new pack's objects are compared
// with, to store differences only. It is git's own default.
const packWindow = 10

// A walker collects what one object store lacks of another. It rests on what
// every store here keeps true: with an object, all that it names is there too.
type walker struct {
	ctx     context.Context
	from    storer.EncodedObjectStorer
	has     func(plumbing.Hash) bool
	shallow []plumbing.Hash
	seen    map[plumbing.Hash]bool
	found   []plumbing.Hash
}

// missing lists the objects that tip needs, in from, and that to lacks (nil =
// all). Parents beyond a shallow commit are not asked for.
func missing(ctx context.Context, from, to storer.EncodedObjectStorer, tip plumbing.Hash, shallow []plumbing.Hash) ([]plumbing.Hash, error) {
	w := &walker{ctx: ctx, from: from, shallow: shallow, seen: map[plumbing.Hash]bool{},
		has: func(h plumbing.Hash) bool { return to != nil && to.HasEncodedObject(h) == nil }}
	commits := []plumbing.Hash{tip}
	for len(commits) > 0 {
		h := commits[len(commits)-1]
		commits = commits[:len(commits)-1]
		if !w.add(h) {
			continue
		}
		c, err := object.GetCommit(from, h)
		if err != nil {
			return nil, fmt.Errorf("reading commit %s: %w", h, err)
		}
		if err := w.tree(c.TreeHash); err != nil {
			return nil, err
		}
		if !slices.Contains(shallow, h) {
			commits = append(commits, c.ParentHashes...)
		}
	}
	return w.found, nil
}

// add notes an object, and says whether it was new and is lacking.
func (w *walker) add(h plumbing.Hash) bool {
	if w.seen[h] {
		return false
	}
	w.seen[h] = true
	if w.has(h) {
		return false
	}
	w.found = append(w.found, h)
	return true
}

func (w *walker) tree(root plumbing.Hash) error {
	for trees := []plumbing.Hash{root}; len(trees) > 0; {
		h := trees[len(trees)-1]
		trees = trees[:len(trees)-1]
		if !w.add(h) {
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		t, err := object.GetTree(w.from, h)
		if err != nil {
			return fmt.Errorf("reading tree %s: %w", h, err)
		}
		for _, e := range t.Entries {
			switch {
			case e.Mode == filemode.Submodule:
			case e.Mode == filemode.Dir:
				trees = append(trees, e.Hash)
			default:
				w.add(e.Hash)
			}
		}
	}
	return nil
}

// wholeObjects hides that a store can hand out differences as they are
// stored: go-git does not find those in a repo's alternates.
type wholeObjects struct{ storer.EncodedObjectStorer }

// addObjects packs objects of another store into this clone.
func (c *clone) addObjects(ctx context.Context, from storer.EncodedObjectStorer, objects []plumbing.Hash) error {
	if len(objects) == 0 {
		return nil
	}
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := packfile.NewEncoder(pw, wholeObjects{from}, false).Encode(objects, packWindow)
		pw.CloseWithError(err)
	}()
	err := c.addPack(ctx, pr)
	pr.CloseWithError(errors.New("stopped"))
	<-done
	return err
}

// complete checks that all files of a commit are in the clone, so that a
// server which left something out is found before the commit is used.
func (c *clone) complete(ctx context.Context, tip plumbing.Hash) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	commit, err := object.GetCommit(c.st, tip)
	if err != nil {
		return err
	}
	w := &walker{ctx: ctx, from: c.st, seen: map[plumbing.Hash]bool{},
		has: func(plumbing.Hash) bool { return false }}
	if err := w.tree(commit.TreeHash); err != nil {
		return err
	}
	for _, h := range w.found {
		if err := c.st.HasEncodedObject(h); err != nil {
			return fmt.Errorf("reading object %s: %w", h, err)
		}
	}
	return nil
}

// isAncestor follows the history back from tip, newest first, as the applied
// commit is nearly always a recent one. Beyond a shallow commit nothing is
// known, and so nothing is an ancestor.
func (c *clone) isAncestor(ctx context.Context, old, tip plumbing.Hash) (bool, error) {
	if old == tip {
		return true, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	start, err := object.GetCommit(c.st, tip)
	if err != nil {
		return false, err
	}
	found := false
	err = object.NewCommitIterCTime(start, nil, c.shallowParents()).ForEach(func(commit *object.Commit) error {
		if found = commit.Hash == old; found {
			return storer.ErrStop
		}
		return ctx.Err()
	})
	return found, err
}
