package approval

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
)

// maxKept is how many tags of a commit are kept.
const maxKept = 4 * MaxTags

// Kept is a folder of a commit's tags by their hashes, as git has them without a
// header. It is no part of a clone's history, so that what joins packs need not know
// of it, and remembers what a repo no longer has.
type Kept string

// Of is where the tags of a commit are kept, below a folder of which nothing else is.
func Of(dir string, commit plumbing.Hash) Kept { return Kept(filepath.Join(dir, commit.String())) }

// Has reports whether a tag is kept.
func (k Kept) Has(tag plumbing.Hash) bool {
	_, err := k.Read(tag)
	return err == nil
}

// Read gives a tag that is kept.
func (k Kept) Read(tag plumbing.Hash) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(string(k), tag.String()))
	if err == nil && plumbing.ComputeHash(plumbing.TagObject, raw) != tag {
		err = fmt.Errorf("what is kept of tag %s is damaged", tag)
	}
	return raw, err
}

// all are those that are whole.
func (k Kept) all() (tags [][]byte) {
	entries, _ := os.ReadDir(string(k)) // there may be none yet
	for _, e := range entries {
		if raw, err := k.Read(plumbing.NewHash(e.Name())); err == nil {
			tags = append(tags, raw)
		}
	}
	return tags
}

// Keep keeps a tag, and none of other commits any more; nor others of its own, if
// they have become too many. Nobody else may write to the clone meanwhile.
func (k Kept) Keep(raw []byte) error {
	if entries, err := os.ReadDir(string(k)); err == nil && len(entries) >= maxKept {
		if err := os.RemoveAll(string(k)); err != nil {
			return err
		}
	}
	if err := durable.MkdirAll(string(k), 0o700); err != nil {
		return err
	}
	all, err := os.ReadDir(filepath.Dir(string(k)))
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Name() == filepath.Base(string(k)) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(filepath.Dir(string(k)), e.Name())); err != nil {
			return err
		}
	}
	return durable.WriteFile(filepath.Join(string(k), plumbing.ComputeHash(plumbing.TagObject, raw).String()), raw, 0o600)
}
