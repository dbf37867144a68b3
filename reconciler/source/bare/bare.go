// Package bare makes a git repo, as any git reads it, of the clone of a config repo.
package bare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
)

// Copy makes one of the clone in a folder: the history of a commit that is in it, on the
// branch that is followed, ref, or main where that has no name of its own, and the tags by
// which the commit was followed or approved of.
func Copy(ctx context.Context, dir, ref, revision, to string, log *slog.Logger) error {
	c, err := clone.Open(dir, log, nil)
	if err != nil {
		return err
	}
	commit := plumbing.NewHash(revision)
	if !c.Has(commit) {
		return fmt.Errorf("copying the config repo: the clone %s has no commit %s", dir, revision)
	}
	unlock, err := c.Lock(ctx) // so that no packs are joined meanwhile
	if err != nil {
		return err
	}
	defer unlock()
	if err := copyObjects(ctx, c, to); err != nil {
		return fmt.Errorf("copying the config repo: %w", err)
	}
	tags, err := tagged.Of(dir, commit).All()
	if err != nil {
		return err
	}
	on := branch(ref, tags)
	files := map[string][]byte{on: []byte(revision + "\n"), "HEAD": []byte("ref: " + on + "\n"), "config": []byte(config), packedRefs: refs(commit, tags)}
	for _, t := range tags {
		if t.Content == nil {
			continue
		}
		name, data, err := gitdir.Loose(plumbing.TagObject, t.Content)
		if err != nil {
			return err
		}
		files[name] = data
	}
	for name, data := range files {
		path := filepath.Join(to, filepath.FromSlash(name))
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := durable.WriteFile(path, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// packedRefs is a file of refs, whatever names the stick's file system takes.
const packedRefs = "packed-refs"

func refs(of plumbing.Hash, tags []tagged.Tag) []byte {
	var b bytes.Buffer
	for _, t := range tags {
		fmt.Fprintf(&b, "%s %s\n", t.Object(of), t.Name)
	}
	return b.Bytes()
}

const config = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"

func copyObjects(ctx context.Context, c *clone.Clone, to string) error {
	packs := filepath.Join("objects", "pack")
	if err := durable.MkdirAll(filepath.Join(to, packs), 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(c.Dir(), packs))
	if err != nil {
		return err
	}
	names := []string{shallow}
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".pack" || ext == ".idx" {
			names = append(names, filepath.Join(packs, e.Name()))
		}
	}
	for _, name := range names {
		f, _, err := durable.Copy(ctx, filepath.Dir(filepath.Join(to, name)), 0o600, filepath.Join(c.Dir(), name))
		if name == shallow && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := f.Publish(filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}
