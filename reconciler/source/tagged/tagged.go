// Package tagged keeps which tags a remote had of a commit that was followed, with what
// they say, so that who follows this machine's clone can follow and trust them, too. It
// lies beside the clone's packs: those that join these need not know of it. Nothing in it
// counts for this machine itself.
package tagged

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/commit"
)

const (
	// maxTags and maxSize bound what is kept of a commit: what comes after is left out.
	maxTags = 64
	maxSize = 4 << 20
)

// A Tag is one of a commit's.
type Tag struct {
	Name string `json:"name"` // in full
	// Content is what an annotated one says, as git has it without a header; nil of another.
	Content []byte `json:"content,omitempty"`
}

// Object is what the tag's ref names.
func (t Tag) Object(of plumbing.Hash) plumbing.Hash {
	if t.Content == nil {
		return of
	}
	return plumbing.ComputeHash(plumbing.TagObject, t.Content)
}

// A Commit's tags are a file below a clone's folder.
type Commit struct {
	dir  string
	hash plumbing.Hash
}

// Of are the tags of a commit in the clone in a folder.
func Of(clone string, commit plumbing.Hash) Commit {
	return Commit{filepath.Join(clone, "tagged"), commit}
}

func (c Commit) path() string { return filepath.Join(c.dir, c.hash.String()) }

// All are its tags, by their names.
func (c Commit) All() ([]Tag, error) {
	data, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var tags []Tag
	if err == nil {
		err = json.Unmarshal(data, &tags)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tags of commit %s: %w; remove %s, and fetch again", c.hash, err, c.path())
	}
	return slices.DeleteFunc(tags, c.unfit), nil
}

// unfit reports whether git would not take a tag as one of the commit.
func (c Commit) unfit(t Tag) bool {
	if !strings.HasPrefix(t.Name, "refs/tags/") || plumbing.ReferenceName(t.Name).Validate() != nil {
		return true
	}
	if t.Content == nil {
		return false
	}
	says, err := commit.ParseTag(t.Content)
	return err != nil || says.Commit != c.hash
}

// An Annotated tag is one that says something itself, of a commit.
type Annotated struct {
	Of      plumbing.Hash
	Content []byte
}

// All are the annotated tags that are kept in the clone in a folder, by their names: those
// of what was given on before, too, for who was told of it.
func All(clone string) (map[plumbing.Hash]Annotated, error) {
	entries, err := os.ReadDir(Of(clone, plumbing.ZeroHash).dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	all := map[plumbing.Hash]Annotated{}
	for _, e := range entries {
		if !plumbing.IsHash(e.Name()) {
			continue
		}
		c := Of(clone, plumbing.NewHash(e.Name()))
		tags, err := c.All()
		if err != nil {
			return nil, err
		}
		for _, t := range tags {
			if t.Content != nil {
				all[t.Object(c.hash)] = Annotated{c.hash, t.Content}
			}
		}
	}
	return all, nil
}

// With are its tags once others have taken the place of those whose names stale reports
// (nil: of their own), and whether these are not the ones that there are.
func (c Commit) With(tags []Tag, stale func(name string) bool) (now []Tag, changed bool) {
	was, err := c.All() // what cannot be read is made anew
	now = slices.DeleteFunc(slices.Clone(was), func(t Tag) bool {
		return stale != nil && stale(t.Name) || slices.ContainsFunc(tags, func(n Tag) bool { return n.Name == t.Name })
	})
	now = bounded(slices.DeleteFunc(slices.Concat(tags, now), c.unfit))
	same := slices.EqualFunc(was, now, func(a, b Tag) bool { return a.Name == b.Name && bytes.Equal(a.Content, b.Content) })
	return now, err != nil || !same
}

// Put keeps its tags. Of other commits than those of still nothing is kept any more.
// Nobody else may write to the clone meanwhile.
func (c Commit) Put(tags []Tag, still ...plumbing.Hash) error {
	data, err := json.Marshal(tags)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(c.path(), data, 0o600); err != nil {
		return err
	}
	return c.forget(still)
}

// bounded leaves out what is too much, and sorts the rest.
func bounded(tags []Tag) []Tag {
	size := 0
	tags = slices.DeleteFunc(tags[:min(len(tags), maxTags)], func(t Tag) bool {
		size += len(t.Content)
		return size > maxSize
	})
	slices.SortFunc(tags, func(a, b Tag) int { return strings.Compare(a.Name, b.Name) })
	return tags
}

func (c Commit) forget(still []plumbing.Hash) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if h := plumbing.NewHash(e.Name()); h != c.hash && !slices.Contains(still, h) {
			if err := os.Remove(filepath.Join(c.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
