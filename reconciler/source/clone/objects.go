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

// missing lists the objects that roots need, in from, and that to lacks (nil =
// all). Parents of a shallow commit may be missing.
func missing(from, to *pack.Store, roots []Root, shallow func(plumbing.Hash) bool) ([]plumbing.Hash, error) {
	w := &walker{from: from, to: to, seen: map[plumbing.Hash]bool{}}
	for _, root := range roots {
		if !root.Tag.IsZero() {
			w.add(root.Tag)
		}
		trees, _, err := w.commits(root.Commit, nil, func(h, parent plumbing.Hash) bool { return !shallow(h) || from.Find(parent) == nil })
		if err == nil {
			err = w.trees(trees)
		}
		if err != nil {
			return nil, err
		}
	}
	return w.found, nil
}

// Wanting lists the objects that roots need and that somebody lacks who has some commits
// of the store and all that they come from, but for the parents of those in ends. A file
// may be among them that was there once, and in none of the commits that the new ones
// begin from.
func Wanting(from *pack.Store, roots []Root, has []plumbing.Hash, ends map[plumbing.Hash]bool) ([]plumbing.Hash, error) {
	old := &walker{from: from, seen: map[plumbing.Hash]bool{}}
	for _, h := range has {
		if _, _, err := old.commits(h, nil, func(h, parent plumbing.Hash) bool { return !ends[h] && from.Has(parent) }); err != nil {
			return nil, err
		}
	}
	w := &walker{from: from, seen: map[plumbing.Hash]bool{}}
	var trees, edge []plumbing.Hash
	for _, root := range roots {
		if !root.Tag.IsZero() {
			w.add(root.Tag)
		}
		added, met, err := w.commits(root.Commit, old.seen, func(_, parent plumbing.Hash) bool { return from.Find(parent) == nil })
		if err != nil {
			return nil, err
		}
		trees, edge = append(trees, added...), append(edge, met...)
	}
	found := w.found
	for _, h := range edge {
		tree, _, err := w.commit(h)
		if err == nil {
			err = w.trees([]plumbing.Hash{tree})
		}
		if err != nil {
			return nil, err
		}
	}
	w.found = found
	err := w.trees(trees)
	return w.found, err
}

// commits adds a commit and what it comes from, as far as that is to be followed and not
// old, and returns their trees, and the old ones where it ends.
func (w *walker) commits(tip plumbing.Hash, old map[plumbing.Hash]bool, follow func(h, parent plumbing.Hash) bool) (trees, edge []plumbing.Hash, err error) {
	for todo := []plumbing.Hash{tip}; len(todo) > 0; {
		h := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if old[h] {
			edge = append(edge, h)
			continue
		}
		if !w.add(h) {
			continue
		}
		tree, parents, err := w.commit(h)
		if err != nil {
			return nil, nil, err
		}
		trees = append(trees, tree)
		for _, p := range parents {
			if follow(h, p) {
				todo = append(todo, p)
			}
		}
	}
	return trees, edge, nil
}

// commit reads what a commit names.
func (w *walker) commit(h plumbing.Hash) (tree plumbing.Hash, parents []plumbing.Hash, err error) {
	content, err := w.from.Read(h, plumbing.CommitObject)
	if err == nil {
		tree, parents, err = pack.CommitLinks(content)
	}
	if err != nil {
		err = fmt.Errorf("reading commit %s: %w", h, err)
	}
	return tree, parents, err
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

// trees adds folders, with all that is below them.
func (w *walker) trees(trees []plumbing.Hash) error {
	for len(trees) > 0 {
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
	lacking, err := missing(from, to, []Root{root}, shallow)
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
