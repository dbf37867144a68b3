package grub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/loader/suite"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/tests/need"
)

func TestLoader(t *testing.T) {
	suite.Run(t, func(t *testing.T) loader.Loader {
		g, err := Open(t.TempDir(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return g
	})
}

// unread mounts an ext4 that GRUB cannot read.
func unread(t *testing.T) (point string) {
	t.Helper()
	point = filepath.Join(t.TempDir(), "unread")
	need.Filesystem(t, point, 256<<20, "defaults", "mkfs.ext4", "-q", "-O", "inline_data")
	return point
}

// stageOn makes a stage's folder.
func stageOn(t *testing.T, point string) (stage string, at boot.Filesystem) {
	t.Helper()
	stage, err := os.MkdirTemp(point, "stage-")
	if err != nil {
		t.Fatal(err)
	}
	at, err = place.Find(t.Context(), stage)
	if err != nil {
		t.Fatal(err)
	}
	return stage, at
}

// apart mounts a file system with a folder of GRUB's.
func apart(t *testing.T) (point, dir string) {
	t.Helper()
	point = filepath.Join(t.TempDir(), "boot")
	need.Filesystem(t, point, suite.BootSize, "defaults", "mkfs.ext4", "-q", "-m", "0")
	dir = filepath.Join(point, "grub")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return point, dir
}

func openApart(t *testing.T, unread string) suite.Machine {
	t.Helper()
	stage, at := stageOn(t, unread)
	point, dir := apart(t)
	g, err := Open(dir, stage)
	if err != nil {
		t.Fatal(err)
	}
	return suite.Machine{Loader: g, Stage: stage, At: at, Boot: point}
}

func TestCopies(t *testing.T) {
	need.Root(t)
	on := unread(t)
	suite.RunCopies(t, func(t *testing.T) suite.Machine { return openApart(t, on) })
}

// What cannot take copies is told with the stage's own fault.
func TestNoPlaceForCopies(t *testing.T) {
	stage, at := stageOn(t, unread(t))
	point, dir := apart(t)
	full := filepath.Join(t.TempDir(), "full")
	need.Filesystem(t, full, 5<<20, "defaults", "mkfs.ext4", "-q")
	fixed := filepath.Join(t.TempDir(), "fixed")
	need.Filesystem(t, fixed, 8<<20, "ro", "mkfs.ext4", "-q")
	for dir, want := range map[string]string{
		filepath.Dir(stage): "that is on the same file system",
		full:                "too little room",
		fixed:               "read-only",
		"/dev":              "in memory",
	} {
		g, err := Open(dir, stage)
		if err != nil {
			t.Fatal(err)
		}
		err = g.Check(t.Context(), at)
		if err == nil || !strings.Contains(err.Error(), "inline_data") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", dir, err, want)
		}
	}
	g, err := Open(dir, stage)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Check(t.Context(), at); err != nil {
		t.Errorf("%s: %v", point, err)
	}
}

// A stage that GRUB reads again needs its copies no more.
func TestCopiesGoWithTheirStage(t *testing.T) {
	m := openApart(t, unread(t))
	g := m.Loader.(*GRUB)
	if err := g.Publish(t.Context(), boot.Menu{Stage: m.At, Mode: boot.ModeMenu}); err != nil {
		t.Fatal(err)
	}
	for _, stage := range []boot.Filesystem{m.At, ext4} {
		if err := g.Link(t.Context(), stage); err != nil {
			t.Fatal(err)
		}
		linked(t, g, stage, true)
		_, err := os.Stat(g.beside().Dir)
		if beside := err == nil; beside != (stage == m.At) {
			t.Errorf("linked to %s, the folder beside custom.cfg is there: %t", at(stage), beside)
		}
	}
}

// In a running deployment GRUB's own folder is that of another system.
func TestBooted(t *testing.T) {
	g := Booted(t.TempDir())
	if linked, err := g.Linked(t.Context(), ext4); err != nil || !linked {
		t.Errorf("linked is %t, %v", linked, err)
	}
	if err := g.Link(t.Context(), ext4); err != nil {
		t.Error(err)
	}
	if err := g.Unlink(); err == nil {
		t.Error("it was unlinked")
	}
	m := testMenu("managed")
	if err := g.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if why, err := g.Stale(t.Context(), m); err != nil || why != "" {
		t.Errorf("stale: %q, %v", why, err)
	}
}

// What is published can be read there, and a menu that GRUB would not find is
// not written.
func TestBootedApart(t *testing.T) {
	m := openApart(t, unread(t))
	menu := testMenu("managed")
	menu.Stage = m.At
	for i := range menu.Images {
		for j := range menu.Images[i].Entries {
			e := &menu.Images[i].Entries[j]
			e.Kernel, e.Initrd = "objects/sha256/"+strings.Repeat("a", 64), "objects/sha256/"+strings.Repeat("b", 64)
		}
	}
	if err := m.Loader.Publish(t.Context(), menu); err != nil {
		t.Fatal(err)
	}
	g := Booted(m.Stage)
	if ids, err := g.Entries(); err != nil || len(ids) != 4 {
		t.Errorf("it shows %v, %v", ids, err)
	}
	for name, err := range map[string]error{
		"check": g.Check(t.Context(), m.At), "publish": g.Publish(t.Context(), testMenu("menu")), "link": g.Link(t.Context(), m.At),
	} {
		if err == nil || !strings.Contains(err.Error(), "/grub/gitboot; mount that, and name the folder of custom.cfg there with --boot") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
