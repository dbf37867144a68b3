package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/internal/marks"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// Mended says what became of something damaged.
type Mended struct {
	Path string
	// Kept: the running deployment is made of it.
	Kept bool
}

// Remove takes away what Find found, for the next reconcile to make again. What
// gitboot did not put there, and what the running deployment is made of, is left
// alone. The caller holds the stage's lock.
func Remove(st *stage.Stage, found []Found, running string) (out []Mended, err error) {
	if err := forget(st, found, running); err != nil {
		return nil, err
	}
	for _, d := range found {
		path := filepath.Join(st.Dir(), filepath.FromSlash(d.Path))
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
func forget(st *stage.Stage, found []Found, running string) error {
	gone := map[string]bool{}
	for _, d := range found {
		if !d.partOf(running) {
			gone[d.hash()] = true
		}
	}
	return record.DropAll(st.Dir(), func(o deployment.Object) bool { return !gone[o.SHA256] })
}

// hash returns the name of a damaged object or deployment, "" if it is neither.
func (d Found) hash() string {
	name := strings.TrimSuffix(filepath.Base(d.Path), ".json")
	if !deployment.IsHash(name) {
		return ""
	}
	return name
}

// object returns the sha256 of a damaged object, "" if it is something else.
func (d Found) object() string {
	if hash := d.hash(); d.Path == (deployment.Object{SHA256: hash}).Path() {
		return hash
	}
	return ""
}

func (d Found) partOf(running string) bool {
	return running != "" && slices.Contains(d.Deployments, running)
}

// Mark notes which objects are damaged, of all that Find has found on the stage, and
// that those are not any more which it has not: the stage treats one that is as not
// there. It returns how many it notes anew. The caller holds the lock.
func Mark(st *stage.Stage, found []Found) (marked int, err error) {
	all, damaged := marks.In(st.Dir()), map[string]bool{}
	for _, d := range found {
		hash := d.object()
		if hash == "" {
			continue
		}
		damaged[hash] = true
		if all.Has(hash) {
			continue
		}
		if err := all.Put(hash, d); err != nil {
			return marked, err
		}
		marked++
	}
	noted, err := all.All()
	for _, hash := range noted {
		if !damaged[hash] {
			err = errors.Join(err, all.Remove(hash))
		}
	}
	return marked, err
}

// MarkOne notes an object as damaged that was found so while it was used. One that is
// not there is none. The caller holds the lock.
func MarkOne(st *stage.Stage, hash, what string) error {
	o := deployment.Object{SHA256: hash}
	if _, err := os.Lstat(st.ObjectPath(o)); !deployment.IsHash(hash) || err != nil || st.Damaged(o) {
		return nil
	}
	return marks.In(st.Dir()).Put(hash, Found{Path: o.Path(), What: what, Deployments: []string{}, Remedy: "reconcile: it is made again"})
}

// Quarantined returns how many objects are in quarantine, and their bytes.
func Quarantined(st *stage.Stage) (c stage.Collected, err error) {
	all, err := marks.In(st.Dir()).Quarantine()
	for _, a := range all {
		c.Add(a.Size)
	}
	return c, err
}

// Release removes what is in quarantine, but for what the running deployment may be
// made of.
func Release(st *stage.Stage, running string) (c stage.Collected, err error) {
	uses := map[string]bool{}
	if m, err := st.Deployment(running); err == nil {
		for _, o := range m.Objects() {
			uses[o.SHA256] = true
		}
	} else if running != "" {
		return c, fmt.Errorf("the quarantine stays: what the running deployment needs is not known: %w", err)
	}
	all, err := marks.In(st.Dir()).Quarantine()
	for _, a := range all {
		if uses[a.SHA256] {
			continue
		}
		if rerr := os.Remove(a.Path); rerr != nil {
			err = errors.Join(err, rerr)
			continue
		}
		c.Add(a.Size)
	}
	return c, err
}
