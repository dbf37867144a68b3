package suite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// A Machine is one whose boot loader cannot read the stage.
type Machine struct {
	Loader loader.Loader
	// Stage is the stage's folder, and At where it lies at boot.
	Stage string
	At    boot.Filesystem
	// Boot is where the boot loader reads: a file system of BootSize bytes, with
	// next to nothing on it.
	Boot string
	// Parts returns the objects that a file holds where the boot loader reads programs
	// that are made of them; nil if it reads copies.
	Parts func(data []byte) [][]byte
}

// holds reports whether a file is an object's copy, or is made of it.
func (m *Machine) holds(data []byte, object string) bool {
	sums := []string{sumOf(data)}
	if m.Parts != nil {
		for _, part := range m.Parts(data) {
			sums = append(sums, sumOf(part))
		}
	}
	return slices.Contains(sums, filepath.Base(object))
}

// BootSize is that of a Machine's Boot.
const BootSize = 32 << 20

// RunCopies tests a boot loader that has published nothing yet, for a stage that
// it cannot read.
func RunCopies(t *testing.T, open func(t *testing.T) Machine) {
	for name, test := range map[string]func(*testing.T, *Machine){
		"follow the menu": followsMenu, "are a trial's, too": tries, "are mended": mends, "fit": fits, "make room": makesRoom,
		"are whole": wholeOnly, "end with their context": ends, "go when unlinked": unlinks,
	} {
		t.Run(name, func(t *testing.T) {
			m := open(t)
			m.write(t, "foreign", "somebody else's")
			test(t, &m)
			if !m.copied(t)[sumOf([]byte("somebody else's"))] {
				t.Error("a file of somebody else's is gone")
			}
		})
	}
}

func (m *Machine) write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.Boot, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// object puts an object on the stage, and returns its path there. Others have
// another letter.
func (m *Machine) object(t *testing.T, letter byte, size int) string {
	t.Helper()
	data := bytes.Repeat([]byte{letter}, size)
	name := filepath.Join("objects/sha256", sumOf(data))
	path := filepath.Join(m.Stage, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

// menu is one of an image whose generations have these kernels, newest first,
// each its own initramfs, too.
func (m *Machine) menu(kernels ...string) boot.Menu {
	image := boot.MenuImage{Name: "desktop"}
	for _, kernel := range kernels {
		image.Entries = append(image.Entries, boot.Entry{
			ID: boot.EntryID("desktop", filepath.Base(kernel)), Title: kernel, Kernel: kernel, Initrd: kernel,
			Args: []string{"gitboot.stage=UUID=" + m.At.UUID + ":" + m.At.Path},
		})
	}
	menu := boot.Menu{Stage: m.At, Mode: boot.ModeManaged, Images: []boot.MenuImage{image}}
	menu.Choose("")
	return menu
}

// copied are the hashes of all files that the boot loader can read.
func (m *Machine) copied(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	m.files(t, func(_ string, data []byte) {
		out[sumOf(data)] = true
		if m.Parts != nil {
			for _, part := range m.Parts(data) {
				out[sumOf(part)] = true
			}
		}
	})
	return out
}

func (m *Machine) files(t *testing.T, do func(path string, data []byte)) {
	t.Helper()
	err := filepath.WalkDir(m.Boot, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		do(path, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// publish makes a menu of kernels the one that boots, and sees that those are
// what is copied.
func (m *Machine) publish(t *testing.T, kernels ...string) boot.Menu {
	t.Helper()
	menu := m.menu(kernels...)
	if err := m.Loader.Publish(t.Context(), menu); err != nil {
		t.Fatal(err)
	}
	m.shows(t, menu, kernels...)
	return menu
}

// shows sees that this is the menu, that these are copied, and no others.
func (m *Machine) shows(t *testing.T, menu boot.Menu, kernels ...string) {
	t.Helper()
	if why, err := m.Loader.Stale(t.Context(), menu); err != nil || why != "" {
		t.Errorf("the menu is stale: %q, %v", why, err)
	}
	have := m.copied(t)
	objects, err := os.ReadDir(filepath.Join(m.Stage, "objects/sha256"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		wanted := slices.ContainsFunc(kernels, func(k string) bool { return filepath.Base(k) == o.Name() })
		if have[o.Name()] != wanted {
			t.Errorf("%.12s is copied: %t; it is in the menu: %t", o.Name(), have[o.Name()], wanted)
		}
	}
}

// stale sees that a menu is not what is published.
func (m *Machine) stale(t *testing.T, menu boot.Menu) {
	t.Helper()
	if why, err := m.Loader.Stale(t.Context(), menu); err != nil || why == "" {
		t.Errorf("it is not told: %q, %v", why, err)
	}
}

// A trial's kernel is copied beside the others, and goes with it.
func tries(t *testing.T, m *Machine) {
	one, two := m.object(t, '1', 3e6), m.object(t, '2', 3e6)
	menu, trial := m.menu(one), m.menu(two).Images[0].Entries[0]
	trial.ID = boot.TrialID(filepath.Base(two))
	menu.Trial = &trial
	if err := m.Loader.Publish(t.Context(), menu); err != nil {
		t.Fatal(err)
	}
	m.shows(t, menu, one, two)
	m.publish(t, one)
}

func followsMenu(t *testing.T, m *Machine) {
	if err := m.Loader.Check(t.Context(), m.At); err != nil {
		t.Fatal(err)
	}
	one, two, three := m.object(t, '1', 3e6), m.object(t, '2', 3e6), m.object(t, '3', 3e6)
	m.stale(t, m.menu(one))
	m.publish(t, one)
	if err := m.Loader.Link(t.Context(), m.At); err != nil {
		t.Fatal(err)
	}
	m.publish(t, two, one)
	m.publish(t, three, two)
	if linked, err := m.Loader.Linked(t.Context(), m.At); err != nil || !linked {
		t.Errorf("linked is %t, %v", linked, err)
	}
	n := 0
	m.files(t, func(_ string, data []byte) {
		if m.holds(data, two) {
			n++
		}
	})
	if n != 1 {
		t.Errorf("what is named twice is copied %d times", n)
	}
	// What the stage has lost cannot be copied, and takes no entry from others.
	if err := os.Remove(filepath.Join(m.Stage, one)); err != nil {
		t.Fatal(err)
	}
	m.publish(t, three, one)
}

// amiss reports whether the trace of a kernel's copy tells that it is not what it
// should be.
func (m *Machine) amiss(t *testing.T, menu boot.Menu, kernel string) bool {
	t.Helper()
	tracing, ok := m.Loader.(loader.Tracing)
	if !ok {
		t.Fatal("this boot loader cannot tell what it has written")
	}
	all, err := tracing.Trace(t.Context(), menu)
	i := slices.IndexFunc(all, func(one loader.Trace) bool {
		return one.Copy && (m.Parts != nil || filepath.Base(one.Name) == filepath.Base(kernel))
	})
	if err != nil || i < 0 {
		t.Fatalf("no trace of the copy: %v", err)
	}
	return all[i].Have != all[i].Want
}

// mends sees that a copy which is not whole is told, and mended.
func mends(t *testing.T, m *Machine) {
	kernel := m.object(t, 'k', 1e6)
	menu := m.publish(t, kernel)
	for name, spoil := range map[string]func(path string) error{
		"missing": os.Remove,
		"short":   func(path string) error { return os.Truncate(path, 1000) },
		"changed": func(path string) error { return os.WriteFile(path, bytes.Repeat([]byte("x"), 1e6), 0o600) },
		"surplus": func(path string) error {
			return os.Rename(path, filepath.Join(filepath.Dir(path), sumOf([]byte("another"))))
		},
	} {
		m.files(t, func(path string, data []byte) {
			if m.holds(data, kernel) {
				if err := spoil(path); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
		m.stale(t, menu)
		if !m.amiss(t, menu, kernel) {
			t.Errorf("%s: the copy's trace does not tell", name)
		}
		m.publish(t, kernel)
	}
	// A copy of another time, such as one of an older gitboot, is as good as it is.
	m.files(t, func(path string, data []byte) {
		if m.holds(data, kernel) {
			if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
		}
	})
	if m.shows(t, menu, kernel); m.amiss(t, menu, kernel) {
		t.Error("what is as it was written is told to be otherwise")
	}
	count := 0
	m.files(t, func(string, []byte) { count++ })
	if err := m.Loader.Publish(t.Context(), menu); err != nil {
		t.Error(err)
	}
	m.files(t, func(string, []byte) { count-- })
	if count != 0 {
		t.Errorf("of what was there %d more files are gone", count)
	}
}

// fits sees that a menu which does not fit is refused before a byte is written.
func fits(t *testing.T, m *Machine) {
	kernel := m.object(t, 'k', 1e6)
	menu := m.publish(t, kernel)
	before := m.copied(t)
	large := m.menu(m.object(t, 'l', BootSize), kernel)
	var room *loader.NoRoomError
	m.stale(t, large)
	if err := m.Loader.Fits(t.Context(), large); !errors.As(err, &room) || room.Need < BootSize || m.Parts == nil && room.Need > BootSize || room.Free <= 0 || room.Free >= BootSize {
		t.Errorf("it is foreseen as %v", err)
	}
	if err := m.Loader.Fits(t.Context(), menu); err != nil {
		t.Errorf("what is there does not fit: %v", err)
	}
	if err := m.Loader.Publish(t.Context(), large); !errors.As(err, &room) {
		t.Errorf("it is published: %v", err)
	}
	if !maps.Equal(before, m.copied(t)) {
		t.Error("it has changed what is there")
	}
	m.shows(t, menu, kernel)
}

// makesRoom sees that the old makes room for the new, as long as an entry stays.
func makesRoom(t *testing.T, m *Machine) {
	third := BootSize / 3
	if m.Parts != nil {
		third /= 2 // a program holds it as a kernel and as an initramfs
	}
	one, two, three := m.object(t, '1', third), m.object(t, '2', third), m.object(t, '3', third)
	m.publish(t, two, one)
	if err := m.Loader.Fits(t.Context(), m.menu(three, two)); err != nil {
		t.Errorf("it is not foreseen that it fits: %v", err)
	}
	m.publish(t, three, two)
	four := m.object(t, '4', third)
	if err := m.Loader.Publish(t.Context(), m.menu(four)); !errors.As(err, new(*loader.NoRoomError)) {
		t.Errorf("there was no entry for a while: %v", err)
	}
	m.shows(t, m.menu(three, two), three, two)
}

// wholeOnly sees that nothing is copied which is not what its name says.
func wholeOnly(t *testing.T, m *Machine) {
	kernel, spoilt := m.object(t, 'k', 1e6), m.object(t, 's', 1e6)
	menu := m.publish(t, kernel)
	if err := os.WriteFile(filepath.Join(m.Stage, spoilt), bytes.Repeat([]byte{'t'}, 1e6), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Loader.Publish(t.Context(), m.menu(spoilt, kernel)); err == nil {
		t.Error("it was published")
	}
	m.shows(t, menu, kernel)
	if m.copied(t)[sumOf(bytes.Repeat([]byte{'t'}, 1e6))] {
		t.Error("it was copied")
	}
}

func ends(t *testing.T, m *Machine) {
	kernel := m.object(t, 'k', 1e6)
	menu := m.publish(t, kernel)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Loader.Publish(ctx, m.menu(m.object(t, 'l', 1e6), kernel)); !errors.Is(err, context.Canceled) {
		t.Errorf("it goes on: %v", err)
	}
	m.shows(t, menu, kernel)
}

func unlinks(t *testing.T, m *Machine) {
	kernel := m.object(t, 'k', 1e6)
	before := m.copied(t)
	menu := m.publish(t, kernel)
	if err := m.Loader.Link(t.Context(), m.At); err != nil {
		t.Fatal(err)
	}
	m.shows(t, menu, kernel)
	if err := m.Loader.Unlink(); err != nil {
		t.Fatal(err)
	}
	if after := m.copied(t); !maps.Equal(before, after) {
		t.Errorf("there were %d files, and are %d", len(before), len(after))
	}
	m.stale(t, menu)
	m.publish(t, kernel)
}
