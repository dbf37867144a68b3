package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A walker collects what one object store lacks of another. It rests on what
// every store here keeps true: with an object, all that it names is there too.
type walker struct {
	ctx      context.Context
	from, to *pack.Store
	seen     map[plumbing.Hash]bool
	found    []plumbing.Hash
}

// missing lists the objects that tip needs, in from, and that to lacks (nil =
// all). Parents of a shallow commit may be missing.
func missing(ctx context.Context, from, to *pack.Store, tip plumbing.Hash, shallow func(plumbing.Hash) bool) ([]plumbing.Hash, error) {
	w := &walker{ctx: ctx, from: from, to: to, seen: map[plumbing.Hash]bool{}}
	commits := []plumbing.Hash{tip}
	for len(commits) > 0 {
		h := commits[len(commits)-1]
		commits = commits[:len(commits)-1]
		if !w.add(h) {
			continue
		}
		c, err := w.read(h, plumbing.CommitObject)
		if err != nil {
			return nil, fmt.Errorf("reading commit %s: %w", h, err)
		}
		tree, parents, err := pack.CommitLinks(c)
		if err != nil {
			return nil, fmt.Errorf("reading commit %s: %w", h, err)
		}
		if err := w.tree(tree); err != nil {
			return nil, err
		}
		for _, p := range parents {
			if !shallow(h) || from.Has(p) {
				commits = append(commits, p)
			}
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
	if w.to != nil && w.to.Has(h) {
		return false
	}
	w.found = append(w.found, h)
	return true
}

func (w *walker) read(h plumbing.Hash, want plumbing.ObjectType) ([]byte, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	kind, content, err := w.from.Read(h)
	if err == nil && kind != want {
		err = fmt.Errorf("it is a %s, not a %s", kind, want)
	}
	return content, err
}

func (w *walker) tree(root plumbing.Hash) error {
	for trees := []plumbing.Hash{root}; len(trees) > 0; {
		h := trees[len(trees)-1]
		trees = trees[:len(trees)-1]
		if !w.add(h) {
			continue
		}
		content, err := w.read(h, plumbing.TreeObject)
		if err != nil {
			return fmt.Errorf("reading tree %s: %w", h, err)
		}
		for link, err := range pack.TreeLinks(content) {
			switch {
			case err != nil:
				return fmt.Errorf("reading tree %s: %w", h, err)
			case link.Mode == filemode.Submodule:
			case link.Mode == filemode.Dir:
				trees = append(trees, link.Name)
			case w.add(link.Name) && !w.from.Has(link.Name):
				return fmt.Errorf("reading object %s: %w", link.Name, plumbing.ErrObjectNotFound)
			}
		}
	}
	return nil
}

// addMissing packs into this clone what tip needs of another store: what the
// clone lacks, or all of it.
func (c *clone) addMissing(ctx context.Context, from *pack.Store, tip plumbing.Hash, whole bool, shallow func(plumbing.Hash) bool) error {
	own, err := pack.Open(c.objects())
	if err != nil {
		return err
	}
	defer own.Close()
	to := own
	if whole {
		to = nil
	}
	lacking, err := missing(ctx, from, to, tip, shallow)
	if err != nil || len(lacking) == 0 {
		return err
	}
	return c.addObjects(ctx, from, lacking)
}

// addObjects packs objects of another store into this clone.
func (c *clone) addObjects(ctx context.Context, from *pack.Store, objects []plumbing.Hash) error {
	pr, pw := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pw.CloseWithError(from.Write(ctx, pw, objects))
	}()
	err := c.addPack(ctx, pr)
	pr.CloseWithError(errors.New("stopped"))
	<-done
	return err
}

// complete checks that all files of a commit are in the clone, so that a
// server which left something out is found before the commit is used.
func (c *clone) complete(ctx context.Context, tip plumbing.Hash) error {
	commit, err := c.commit(tip)
	if err != nil {
		return err
	}
	own, err := pack.Open(c.objects())
	if err != nil {
		return err
	}
	defer own.Close()
	w := &walker{ctx: ctx, from: own, seen: map[plumbing.Hash]bool{}}
	return w.tree(commit.tree)
}
