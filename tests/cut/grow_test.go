package cut

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/tests/lab"
)

// While files come into a folder that was made roomy, GRUB finds what was there
// before, whatever of that is on the disk. In one that was not, it does not: where
// ext4 moves names to a new block, and XFS takes them out of the inode.
func TestGrowingFolder(t *testing.T) {
	lab.RequireMachines(t)
	for _, f := range filesystems[:2] {
		t.Run(f.name, func(t *testing.T) { growing(t, f) })
	}
}

func growing(t *testing.T, f filesystem) {
	dir := inMemory(t)
	r := &recording{life: &life{dir: filepath.Join(t.TempDir(), "disk")}, filesystem: f, image: filepath.Join(dir, "image")}
	r.format(t)
	path, since := "", 0
	recorded(t, r, dir, func(log string) (err error) {
		path, since, err = fill(filepath.Join(r.dir, "objects"), log)
		return err
	})
	d, err := newDisk(dir, r.image)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	g, seen, entries := newGRUBReader(t, together, []string{path}), map[sum]bool{}, 0
	for i, e := range r.epochs {
		tries := 0
		states(i, 0, e, r.whole, func(s state) bool {
			if tries++; entries < since || seen[d.sum(s.change)] {
				return entries >= since && tries < 14
			}
			seen[d.sum(s.change)] = true
			if err := found(t.Context(), g, d, s, path); err != nil {
				t.Errorf("state %s: %v", s.name, err)
			}
			return tries < 14
		})
		d.advance(e.writes)
		entries = e.entries
	}
	t.Logf("%d states tried, %d other views of GRUB's", len(seen), g.runs)
}

// names are so many that a block of XFS does not hold them.
const names = 48

// fill makes a folder, and files in it one after the other. It returns the first, and
// how many entries the log had when that was there.
func fill(dir, log string) (first string, since int, err error) {
	if err := errors.Join(durable.MkdirAll(dir, 0o755), durable.Roomy(dir)); err != nil {
		return "", 0, err
	}
	for n := range names {
		s := sha256.Sum256([]byte{byte(n)})
		name := hex.EncodeToString(s[:])
		if err := durable.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			return "", 0, err
		}
		if n%4 != 0 {
			continue
		}
		if _, err := durable.Settle(dir); err != nil {
			return "", 0, err
		}
		if n == 0 {
			first = "/" + filepath.Base(dir) + "/" + name
			if since, err = entries(log); err != nil {
				return "", 0, err
			}
		}
	}
	return first, since, nil
}

func found(ctx context.Context, g *grubReader, d *disk, s state, path string) error {
	if err := d.become(s.change); err != nil {
		return err
	}
	v, err := g.look(ctx, d, s.change)
	if err == nil && v.files[path] == "" {
		err = errors.New("GRUB does not find what was there before")
	}
	return err
}
