package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// Mended says what became of something damaged.
type Mended struct {
	Path string
	// Kept: the running deployment is made of it.
	Kept bool
}

// RemoveDamaged takes away what Verify found, for the next reconcile to make
// again. What gitboot did not put there, and what the running deployment is made
// of, is left alone. The caller holds the lock.
func (s *Stage) RemoveDamaged(damage []Damage, running string) (out []Mended, err error) {
	if err := forget(s, damage, running); err != nil {
		return nil, err
	}
	for _, d := range damage {
		path := s.path(filepath.FromSlash(d.Path))
		switch {
		case d.hash() == "":
			continue
		case d.partOf(running):
			out = append(out, Mended{d.Path, true})
			continue
		}
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, durable.SyncDir(filepath.Dir(path)), fault.Point("stage.damaged.removed")); err != nil {
			return out, err
		}
		out = append(out, Mended{d.Path, false})
	}
	return out, nil
}

// forget drops the records of damaged objects, before these are gone: no record
// ever names what is not there.
func forget(s *Stage, damage []Damage, running string) error {
	damaged := map[string]bool{}
	for _, d := range damage {
		if !d.partOf(running) {
			damaged[d.hash()] = true
		}
	}
	return dropRecords(s.Layout, func(o deployment.Object) bool { return !damaged[o.SHA256] })
}

// hash returns the name of a damaged object or deployment, "" if it is neither.
func (d Damage) hash() string {
	name := strings.TrimSuffix(filepath.Base(d.Path), ".json")
	if !deployment.IsHash(name) {
		return ""
	}
	return name
}

func (d Damage) partOf(running string) bool {
	return running != "" && slices.Contains(d.Deployments, running)
}

// Damaged reports whether an object is known to be damaged.
func (l Layout) Damaged(o deployment.Object) bool {
	_, err := os.Lstat(mark(l, o.SHA256))
	return err == nil
}

// Marked are the hashes of all objects that are known to be damaged, for who asks of
// many.
func Marked(l Layout) map[string]bool {
	names, err := record.Names(marks(l), deployment.IsHash)
	if err != nil {
		return nil
	}
	marked := make(map[string]bool, len(names))
	for _, hash := range names {
		marked[hash] = true
	}
	return marked
}

func mark(l Layout, hash string) string { return filepath.Join(marks(l), hash+".json") }

// Mark notes which objects are damaged, of all that Verify has found on the stage,
// and that those are not any more which it has not. It returns how many it notes
// anew. The caller holds the lock.
func Mark(s *Stage, damage []Damage) (marked int, err error) {
	found := map[string]bool{}
	for _, d := range damage {
		if hash := d.hash(); hash != "" && d.Path == (deployment.Object{SHA256: hash}).Path() {
			found[hash] = true
			if s.Damaged(deployment.Object{SHA256: hash}) {
				continue
			}
			if err := errors.Join(durable.MkdirAll(marks(s.Layout), 0o700), record.Write(mark(s.Layout, hash), d)); err != nil {
				return marked, fmt.Errorf("note that %s is damaged: %w", d.Path, err)
			}
			marked++
		}
	}
	noted, err := record.Names(marks(s.Layout), deployment.IsHash)
	if errors.Is(err, fs.ErrNotExist) {
		return marked, nil
	}
	for _, hash := range noted {
		if !found[hash] {
			err = errors.Join(err, unmark(s.Layout, hash))
		}
	}
	return marked, err
}

// MarkFound notes an object as damaged that was found so while it was used, and
// reports whether that is new. One that is not there is none. The caller holds the lock.
func MarkFound(s *Stage, hash, what string) (bool, error) {
	o := deployment.Object{SHA256: hash}
	if _, err := os.Lstat(s.ObjectPath(o)); !deployment.IsHash(hash) || err != nil || s.Damaged(o) {
		return false, nil
	}
	d := Damage{Path: o.Path(), What: what, Deployments: []string{}, Remedy: "reconcile: it is made again"}
	if err := errors.Join(durable.MkdirAll(marks(s.Layout), 0o700), record.Write(mark(s.Layout, hash), d)); err != nil {
		return false, fmt.Errorf("note that %s is damaged: %w", d.Path, err)
	}
	return true, nil
}

// unmark forgets that an object was damaged.
func unmark(l Layout, hash string) error {
	if _, err := os.Lstat(mark(l, hash)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return durable.Remove(mark(l, hash))
}

// setAside puts a damaged object into quarantine before another takes its place. It
// keeps its place until then, but on a file system without links.
func setAside(l Layout, o deployment.Object) error {
	if !l.Damaged(o) {
		return nil
	}
	info, err := os.Lstat(l.ObjectPath(o))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(quarantine(l), 0o700); err != nil {
		return err
	}
	aside := filepath.Join(quarantine(l), fmt.Sprintf("%s-%d", o.SHA256, info.Sys().(*syscall.Stat_t).Ino))
	err = os.Link(l.ObjectPath(o), aside)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil // a cut run came so far
	case err != nil:
		err = os.Rename(l.ObjectPath(o), aside)
	}
	if err != nil {
		return err
	}
	return errors.Join(durable.SyncDir(quarantine(l)), fault.Point("stage.damaged.aside"))
}

// Quarantined returns how many objects are in quarantine, and their bytes.
func Quarantined(l Layout) (c Collected, err error) {
	return eachAside(l, func(string, string) error { return nil })
}

// Release removes what is in quarantine, but for what the running deployment may be
// made of.
func Release(s *Stage, running string) (c Collected, err error) {
	uses := map[string]bool{}
	if m, err := s.Deployment(running); err == nil {
		for _, o := range m.Objects() {
			uses[o.SHA256] = true
		}
	} else if running != "" {
		return c, fmt.Errorf("the quarantine stays: what the running deployment needs is not known: %w", err)
	}
	return eachAside(s.Layout, func(hash, path string) error {
		if uses[hash] {
			return errStays
		}
		return os.Remove(path)
	})
}

var errStays = errors.New("it stays")

// eachAside does something with each object in quarantine, and counts them.
func eachAside(l Layout, do func(hash, path string) error) (c Collected, err error) {
	entries, err := os.ReadDir(quarantine(l))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	for _, e := range entries {
		hash, _, _ := strings.Cut(e.Name(), "-")
		info, ierr := e.Info()
		if ierr != nil || !deployment.IsHash(hash) {
			continue
		}
		switch derr := do(hash, filepath.Join(quarantine(l), e.Name())); {
		case derr == nil:
			c.Objects++
			c.Bytes += info.Size()
		case !errors.Is(derr, errStays):
			err = errors.Join(err, derr)
		}
	}
	return c, err
}
