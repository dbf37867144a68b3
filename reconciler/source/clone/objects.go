package clone

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A walker collects what one object store lacks of another. It rests on what
// every store here keeps true: with an object, all that it names is there too.
type walker struct {
	from, to *pack.Store
	seen     map[plumbing.Hash]bool
	found    []plumbing.Hash
	shapes   map[plumbing.Hash]shape
}

// A Root is a commit, and the annotated tag of it that goes along, if one does.
type Root struct{ Commit, Tag plumbing.Hash }

// missing lists the objects that a root needs, in from, and that to lacks (nil =
// all). Parents of a shallow commit may be missing.
func missing(ctx context.Context, from, to *pack.Store, root Root, shallow func(plumbing.Hash) bool) ([]plumbing.Hash, error) {
	w := &walker{from: from, to: to, seen: map[plumbing.Hash]bool{}}
	if !root.Tag.IsZero() {
		w.add(root.Tag)
	}
	commits := []plumbing.Hash{root.Commit}
	for len(commits) > 0 {
		h := commits[len(commits)-1]
		commits = commits[:len(commits)-1]
		if !w.add(h) {
			continue
		}
		c, err := w.from.Read(h, plumbing.CommitObject)
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
			if !shallow(h) || from.Find(p) == nil {
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

func (w *walker) tree(root plumbing.Hash) error {
	for trees := []plumbing.Hash{root}; len(trees) > 0; {
		h := trees[len(trees)-1]
		trees = trees[:len(trees)-1]
		if !w.add(h) {
			continue
		}
		content, err := w.from.Read(h, plumbing.TreeObject)
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
			case w.add(link.Name):
				if err := w.from.Find(link.Name); err != nil {
					return fmt.Errorf("reading object %s: %w", link.Name, err)
				}
			}
		}
	}
	return nil
}

// AddMissing packs what a root needs of another store: what the clone lacks, or
// all of it.
func (in *Intake) AddMissing(ctx context.Context, from *pack.Store, root Root, whole bool, shallow func(plumbing.Hash) bool) error {
	own, err := pack.Open(ctx, in.objects())
	if err != nil {
		return err
	}
	defer own.Close()
	to := own
	if whole {
		to = nil
	}
	lacking, err := missing(ctx, from, to, root, shallow)
	if err != nil || len(lacking) == 0 {
		return err
	}
	return in.addObjects(ctx, from, lacking)
}

// addObjects packs objects of another store.
func (in *Intake) addObjects(ctx context.Context, from *pack.Store, objects []plumbing.Hash) error {
	return in.Receive(ctx, func(w io.Writer) error { return from.Write(ctx, w, objects) })
}

// Complete checks that all files of a commit are in the clone, so that a
// server which left something out is found before the commit is used.
func (c *Clone) Complete(ctx context.Context, tip plumbing.Hash) error {
	commit, err := c.Commit(tip)
	if err != nil {
		return err
	}
	own, err := pack.Open(ctx, c.objects())
	if err != nil {
		return err
	}
	defer own.Close()
	w := &walker{from: own, seen: map[plumbing.Hash]bool{}, shapes: map[plumbing.Hash]shape{}}
	_, err = w.unfold(commit.Tree, 0)
	return err
}

// What a tip's files may be. A folder can be named twice, by one that is named
// twice itself, and so on: each is stored once, and all are walked who knows
// how often.
const (
	maxPaths = 1 << 20
	maxDepth = 500
)

// A shape is that of a folder, all below it included.
type shape struct{ paths, depth int }

// unfold measures a folder, and checks that all of it is there.
func (w *walker) unfold(h plumbing.Hash, depth int) (shape, error) {
	s, known := w.shapes[h]
	if depth+s.depth > maxDepth {
		return s, fmt.Errorf("its folders are more than %d deep", maxDepth)
	}
	if known {
		return s, nil
	}
	content, err := w.from.Read(h, plumbing.TreeObject)
	if err != nil {
		return s, fmt.Errorf("reading tree %s: %w", h, err)
	}
	for link, err := range pack.TreeLinks(content) {
		if err != nil {
			return s, fmt.Errorf("reading tree %s: %w", h, err)
		}
		var below shape
		switch {
		case link.Mode == filemode.Submodule:
		case link.Mode == filemode.Dir:
			if below, err = w.unfold(link.Name, depth+1); err != nil {
				return s, err
			}
		case w.add(link.Name):
			if err := w.from.Find(link.Name); err != nil {
				return s, fmt.Errorf("reading object %s: %w", link.Name, err)
			}
		}
		s.paths += 1 + below.paths
		s.depth = max(s.depth, 1+below.depth)
		if s.paths > maxPaths {
			return s, fmt.Errorf("it has more than %d files; keep the config repo apart from what is that large", maxPaths)
		}
	}
	w.shapes[h] = s
	return s, nil
}
