package writable

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/gitboot/gitboot/rootfs"
)

// A Generation is one whose files may be hidden.
type Generation struct {
	N int
	// Booted is when it booted first, zero if it has not yet: what was written before
	// hides what it brings.
	Booted time.Time
	// Open opens its root file system, without what is written.
	Open func() (*rootfs.Tree, error)
}

// A Hidden is a path of the image that is another since a generation, which does not
// show: it was written, or removed, before that was booted.
type Hidden struct {
	Path       string `json:"path"`
	Generation int    `json:"generation"`
}

// hides compares each generation with the one before it, and gives each path once, with
// the newest that changed it.
func hides(ctx context.Context, files []file, generations []Generation) (out []Hidden, err error) {
	if len(files) == 0 || len(generations) < 2 {
		return nil, nil
	}
	seen := map[string]bool{}
	after, err := generations[len(generations)-1].Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, after.Close()) }()
	for i := len(generations) - 1; i > 0; i-- {
		before, err := generations[i-1].Open()
		if err != nil {
			return out, err
		}
		for _, f := range files {
			if seen[f.path] || !generations[i].later(f.changed) {
				continue
			}
			differ, err := differ(ctx, before, after, f.path)
			if err != nil {
				return out, errors.Join(err, before.Close())
			}
			if differ {
				seen[f.path] = true
				out = append(out, Hidden{Path: "/" + f.path, Generation: generations[i].N})
			}
		}
		if err := after.Close(); err != nil {
			return out, errors.Join(err, before.Close())
		}
		after = before
	}
	slices.SortFunc(out, func(a, b Hidden) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

// later reports whether what changed at a time was written before the generation ran.
func (g Generation) later(changed time.Time) bool {
	return g.Booted.IsZero() || changed.Before(g.Booted)
}

// differ reports whether a path is another file in b than in a. That it is gone from b
// hides nothing.
func differ(ctx context.Context, a, b *rootfs.Tree, name string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	is, err := find(b, name)
	if is == nil || err != nil {
		return false, err
	}
	was, err := find(a, name)
	if was == nil || err != nil {
		return err == nil, err
	}
	old, err := a.Attributes(was)
	if err != nil {
		return false, err
	}
	now, err := b.Attributes(is)
	if err != nil {
		return false, err
	}
	if old.Stat != now.Stat || old.Size != now.Size || !now.Mode.IsRegular() {
		return old.Stat != now.Stat || old.Size != now.Size, nil
	}
	x, err := sum(a, was)
	if err != nil {
		return false, err
	}
	y, err := sum(b, is)
	return x != y, err
}

// find returns what is at a path, nil for nothing.
func find(t *rootfs.Tree, name string) (*rootfs.Node, error) {
	n, err := t.Entry(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return n, err
}

func sum(t *rootfs.Tree, n *rootfs.Node) (out [sha256.Size]byte, err error) {
	r, err := t.Open(n)
	if err != nil {
		return out, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	h.Sum(out[:0])
	return out, err
}
