package clone

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// Open looks at the clone without writing, unless something is wrong
// with it. A clone that is not there yet is no error.
func Open(dir string, log *slog.Logger, show progress.Sink) (*Clone, error) {
	if dir == "" {
		return nil, fmt.Errorf("opening the clone: no folder is named for it")
	}
	c := &Clone{dir: dir, log: log, progress: show}
	c.reopen()
	ours, err := isOurs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the clone %s: %w", dir, err)
	}
	if err := c.sweep(); err != nil {
		return nil, fmt.Errorf("cleaning the clone %s after a cut: %w", dir, err)
	}
	if !ours {
		return c, nil
	}
	err = c.readTip()
	if durable.Scarce(err) {
		return nil, fmt.Errorf("opening the clone %s: %w", dir, err)
	}
	if err != nil {
		return c, c.moveAside(err)
	}
	return c, nil
}

// isOurs reports whether the folder is a clone of ours; a folder with other
// content is an error, as it would be written to.
func isOurs(dir string) (bool, error) {
	if _, err := os.Stat(filepath.Join(dir, marker)); !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), durable.TempPrefix) {
			return false, fmt.Errorf("the folder is not empty and not a clone made by gitboot; name another one, or empty it")
		}
	}
	return false, nil
}

// readTip reads HEAD and what it names.
func (c *Clone) readTip() error {
	tip, err := c.readHead()
	if err != nil || tip.IsZero() {
		return err
	}
	raw, err := c.Read(tip, plumbing.CommitObject)
	if err != nil {
		return fmt.Errorf("its commit %s cannot be read: %w", tip, err)
	}
	tree, _, err := pack.CommitLinks(raw)
	if err == nil {
		_, err = c.Read(tree, plumbing.TreeObject)
	}
	if err != nil {
		return fmt.Errorf("the files of its commit %s cannot be read: %w", tip, err)
	}
	c.tip = tip
	return nil
}

// sweep removes what a cut left, unless somebody is writing just now.
func (c *Clone) sweep() error {
	left, err := c.Leftovers()
	if err != nil || len(left) == 0 {
		return err
	}
	unlock, err := c.tryLock()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock()
	if left, err = c.Leftovers(); err != nil {
		return err
	}
	for _, path := range left {
		c.log.Warn("removing what an interrupted fetch left", "file", path)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	c.reopen()
	return nil
}

// folders are those that files are published in: the clone's own, and those of packages
// tagged and approval.
func folders(clone string) ([]string, error) {
	list := []string{clone}
	for _, name := range []string{"refs", "objects", "objects/pack", "tagged"} {
		list = append(list, filepath.Join(clone, name))
	}
	approvals := filepath.Join(clone, "approvals")
	commits, err := entries(approvals)
	if err != nil {
		return nil, err
	}
	for _, of := range commits {
		list = append(list, filepath.Join(approvals, of.Name()))
	}
	return list, nil
}

// entries lists a folder; what is none holds nothing.
func entries(dir string) ([]os.DirEntry, error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return nil, nil
	}
	return list, err
}

// Leftovers lists unpublished files, what is in quarantine, locks, and packs that are not whole.
func (c *Clone) Leftovers() ([]string, error) {
	var left []string
	names := map[string]bool{}
	folders, err := folders(c.dir)
	if err != nil {
		return nil, err
	}
	for _, dir := range folders {
		list, err := entries(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			path := filepath.Join(dir, e.Name())
			quarantined := dir == c.dir && strings.HasPrefix(e.Name(), quarantinePrefix)
			if quarantined || isTemp(e.Name()) && !e.IsDir() {
				left = append(left, path)
			} else if dir == c.packDir() {
				names[path] = true
			}
		}
	}
	for path := range names {
		base := strings.TrimSuffix(path, filepath.Ext(path))
		if names[base+".idx"] && names[base+".pack"] {
			err := checkPack(base)
			if durable.Scarce(err) {
				return nil, err
			}
			if err == nil {
				continue
			}
		}
		left = append(left, path)
	}
	slices.Sort(left)
	return left, nil
}

func isTemp(name string) bool {
	return strings.HasPrefix(name, durable.TempPrefix) || strings.HasPrefix(name, "tmp_") || strings.HasSuffix(name, ".lock")
}

// Packs lists the packs, without their extension.
func (c *Clone) Packs() ([]string, error) {
	entries, err := os.ReadDir(c.packDir())
	var bases []string
	for _, e := range entries {
		if base, ok := strings.CutSuffix(e.Name(), ".idx"); ok {
			bases = append(bases, filepath.Join(c.packDir(), base))
		}
	}
	return bases, err
}

// Layout of a version 2 pack index (git's Documentation/gitformat-pack):
// 8 bytes of header, 256 counts, then per object 20 + 4 + 4 bytes and, for
// Packs beyond 2 GiB, 8 more; last the checksums of the pack and the index.
const (
	idxHeader    = "\xfftOc\x00\x00\x00\x02"
	idxFanout    = 256 * 4
	idxPerObject = 20 + 4 + 4
	idxTrailer   = 20 + 20
)

// checkPack finds a pack or index that is cut short or was never written,
// from lengths and trailers alone, so that it is cheap at each start.
func checkPack(base string) error {
	idx, err := os.Open(base + ".idx")
	if err != nil {
		return err
	}
	defer idx.Close()
	head := make([]byte, len(idxHeader)+idxFanout)
	if _, err := idx.ReadAt(head, 0); err != nil {
		return err
	}
	if string(head[:len(idxHeader)]) != idxHeader {
		return fmt.Errorf("%s is not a pack index", idx.Name())
	}
	info, err := idx.Stat()
	if err != nil {
		return err
	}
	objects := int64(binary.BigEndian.Uint32(head[len(head)-4:]))
	if info.Size() < int64(len(head))+objects*idxPerObject+idxTrailer {
		return fmt.Errorf("%s is cut short", idx.Name())
	}
	var want, got [20]byte
	if _, err := idx.ReadAt(want[:], info.Size()-idxTrailer); err != nil {
		return err
	}
	if err := readLast(base+".pack", got[:]); err != nil {
		return err
	}
	if want != got {
		return fmt.Errorf("%s.pack is cut short", base)
	}
	return nil
}

func readLast(path string, into []byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.ReadAt(into, info.Size()-int64(len(into)))
	return err
}

// moveAside keeps one damaged clone for whoever wants to look into it, and
// leaves room for a new one.
func (c *Clone) moveAside(why error) error {
	unlock, err := c.tryLock()
	if err != nil {
		return fmt.Errorf("moving the damaged clone %s aside (%v): %w", c.dir, why, err)
	}
	defer unlock()
	aside := filepath.Clean(c.dir) + ".broken"
	c.log.Warn("the clone is damaged and will be made anew", "dir", c.dir, "reason", why, "kept", aside)
	if _, err := os.Lstat(aside); err == nil {
		if ours, err := isOurs(aside); err != nil || !ours {
			return fmt.Errorf("moving the damaged clone %s aside: %s is in the way; remove it", c.dir, aside)
		}
		if err := os.RemoveAll(aside); err != nil {
			return err
		}
	}
	if err := os.Rename(c.dir, aside); err != nil {
		return fmt.Errorf("moving the damaged clone aside: %w", err)
	}
	c.reopen()
	return durable.SyncDir(filepath.Dir(filepath.Clean(c.dir)))
}
