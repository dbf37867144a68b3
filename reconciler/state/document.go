// Package state holds the documents in which the parts of a reconcile remember
// what they did, and through which alone they meet: what the machine has staged
// (state.json), what the workshop has made (workshop/state.json), and the runs
// of both (runs/). Each document has one writer, who holds the lock of that
// part; anybody reads them without a lock, because they are published by a
// rename. They are written only when their content changes.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/stage"
)

// Version is the format of the documents that this package writes; another is
// not read.
const Version = 1

// Documents are both, as somebody has read them.
type Documents struct {
	Machine  *Machine
	Workshop *Workshop
}

// Load reads both documents of the stage in dir.
func Load(dir string) (Documents, error) {
	m, err := LoadMachine(dir)
	if err != nil {
		return Documents{}, err
	}
	return m.WithWorkshop(dir)
}

// WithWorkshop reads the workshop's document, where the machine's was read.
func (m *Machine) WithWorkshop(dir string) (Documents, error) {
	w, err := loadWorkshop(dir, func() (*Machine, error) { return m, nil })
	return Documents{m, w}, err
}

const (
	machineWords  = "state"
	machineRemedy = "move the file away, and the next reconcile stages anew from what is there"
)

// LoadMachine reads the document of the stage in dir. A stage without one has an
// empty document.
func LoadMachine(dir string) (*Machine, error) {
	path := stage.Layout(dir).StateFile()
	m := &Machine{}
	there, err := read(path, machineWords, machineRemedy, m)
	if err != nil {
		return nil, err
	}
	if !there {
		m.Version = Version
	}
	if err := checkVersion(path, machineWords, m.Version); err != nil {
		return nil, err
	}
	for name, img := range m.Images {
		if img == nil {
			return nil, fmt.Errorf("state %s: image %q is null; %s", path, name, machineRemedy)
		}
	}
	for id, v := range m.Verdicts {
		if v == nil {
			return nil, fmt.Errorf("state %s: the verdict on %q is null; %s", path, id, machineRemedy)
		}
	}
	if m.Images == nil {
		m.Images = map[string]*Image{}
	}
	return m, nil
}

// Edit has do change the document of the stage in dir, publishes it if it is another
// then, and returns it. The caller holds the lock.
func Edit(dir string, do func(*Machine) error) (*Machine, error) {
	m, err := LoadMachine(dir)
	if err != nil {
		return nil, err
	}
	was, err := m.Clone()
	if err == nil {
		err = do(m)
	}
	if err != nil {
		return nil, err
	}
	return m, m.Save(dir, was)
}

// Save publishes the document unless it says the same as the one that it replaces, which
// was read or written under the lock that the caller holds; nil if that is not known.
func (m *Machine) Save(dir string, was *Machine) error {
	m.Verdicts.prune(m.Deployments())
	if was != nil && was.Same(m) {
		return nil
	}
	saved := *m
	if hasWorkshop(dir) {
		saved.Builds = nil
	}
	return write(stage.Layout(dir).StateFile(), machineWords, &saved)
}

// read fills a document from a file, and reports whether there is one. what
// names it in errors, remedy says how to go on without it.
func read(path, what, remedy string, doc any) (there bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", what, err)
	}
	if err := json.Unmarshal(data, doc); err != nil {
		return false, fmt.Errorf("read %s %s: %w; %s", what, path, err, remedy)
	}
	return true, nil
}

// checkVersion refuses what another version of gitboot has to read.
func checkVersion(path, what string, version int) error {
	if version != Version {
		return fmt.Errorf("%s %s has version %d, this gitboot reads %d; use the gitboot that wrote it", what, path, version, Version)
	}
	return nil
}

// write publishes a document durably.
func write(path, what string, doc any) error {
	data, err := encode(doc)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

func encode(doc any) ([]byte, error) {
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return append(data, '\n'), nil
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// copyTo makes a deep copy.
func copyTo(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("copy state: %w", err)
	}
	return json.Unmarshal(data, to)
}
