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
	if err := s.forget(damage, running); err != nil {
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
func (s *Stage) forget(damage []Damage, running string) error {
	damaged := map[string]bool{}
	for _, d := range damage {
		if !d.partOf(running) {
			damaged[d.hash()] = true
		}
	}
	intact := func(o deployment.Object) bool { return !damaged[o.SHA256] }
	err := dropRecords(s.layers(), func(r *layerRecord) (left, changed bool) { return r.keep(intact) })
	if err != nil {
		return err
	}
	return dropRecords(s.kernels(), func(r *KernelRecord) (left, changed bool) { return intact(r.Kernel) && intact(r.Initramfs), false })
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
