package stage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
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
