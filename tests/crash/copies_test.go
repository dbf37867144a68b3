package crash

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// publishing are those of a run's points where it writes what the boot loader reads.
func publishing(points []string) []string {
	return slices.DeleteFunc(points, func(name string) bool {
		return !strings.HasPrefix(name, "boot.") && name != "apply.menu" && name != "apply.link"
	})
}

// TestCutCopies cuts a run that has another kernel to copy for a GRUB that
// cannot read the stage, where that and what belongs to it is done.
func TestCutCopies(t *testing.T) {
	lab.RequireMachines(t)
	m := prepareApart(t)
	before := keepFor(t, m)
	oldMenu := m.readMenu(t)
	m.checkCopies(t)
	names := publishing(points(t, m))
	newMenu := m.readMenu(t)
	if oldMenu == "" || oldMenu == newMenu || len(names) < 8 {
		t.Fatalf("of these points there is nothing to test: %v", names)
	}
	for _, name := range names {
		for action, said := range map[string]string{"kill": "", "enospc": "no space left"} {
			t.Run(action+" at "+name, func(t *testing.T) {
				before(t)
				out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":" + action}, "reconcile", "--once")
				if err == nil || !strings.Contains(out, said) {
					t.Fatalf("the run was not cut: %v\n%s", err, out)
				}
				if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
					t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
				}
				m.checkNamed(t)
				m.checkConverged(t, newMenu)
				m.checkCopies(t)
			})
		}
	}
}

// prepareApart is prepare for a small machine whose stage is on a file system
// that GRUB cannot read. Its second revision has another kernel.
func prepareApart(t *testing.T) machine {
	t.Helper()
	w := newWorkplace(t)
	m := machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: filepath.Join(w.dir, "unread"), boot: filepath.Join(w.dir, "boot")}
	need.Filesystem(t, m.dir, 256<<20, "defaults", "mkfs.ext4", "-q", "-O", "inline_data")
	need.Filesystem(t, m.boot, 32<<20, "defaults", "mkfs.ext4", "-q")
	makeGRUBFolder(t, m)
	commit(t, t.Context(), w.repo, pushSmall(t, w.registry, w.dir, "6.1.0"), "one")
	m.mustRun(t, "reconcile", "--once")
	commit(t, t.Context(), w.repo, pushSmall(t, w.registry, w.dir, "6.2.0"), "two")
	return m
}

// pushSmall pushes an image that is a kernel of this version and no more.
func pushSmall(t *testing.T, registry *lab.Registry, dir, version string) (ref string) {
	t.Helper()
	root, layer := filepath.Join(dir, version), filepath.Join(dir, version+".tar")
	if err := lab.FakeKernel(root, version, true); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "tar", "-C", root, "--owner=0", "--group=0", "-cf", layer, "."); err != nil {
		t.Fatal(err)
	}
	ref, _, err := registry.Push(t.Context(), "small:"+version, nil, lab.Layer{Path: layer})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// keepFor keeps a machine as it is; the function puts it back to that. Its
// folders stay what they are, for they are named in the menu.
func keepFor(t *testing.T, m machine) (before func(t *testing.T)) {
	t.Helper()
	beside := t.TempDir()
	kept := map[string]string{m.stage(): filepath.Join(beside, "stage"), m.grub(): filepath.Join(beside, "boot")}
	copyTo := func(t *testing.T, from, to string) {
		t.Helper()
		if err := os.MkdirAll(to, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"find", to, "-mindepth", "1", "-delete"}, {"cp", "-a", from + "/.", to}} {
			if _, err := lab.Run(t.Context(), command[0], command[1:]...); err != nil {
				t.Fatal(err)
			}
		}
	}
	for folder, to := range kept {
		copyTo(t, folder, to)
	}
	return func(t *testing.T) {
		t.Helper()
		for folder, from := range kept {
			copyTo(t, from, folder)
		}
	}
}

var copiedFile = regexp.MustCompile(`(?m)^ *(?:if )?(?:linux|initrd) '/grub/gitboot/([^']*)'`)

// checkNamed verifies the copies that the menu names, and returns them.
func (m machine) checkNamed(t *testing.T) map[string]bool {
	t.Helper()
	m.checkBootable(t)
	named := map[string]bool{}
	for _, match := range copiedFile.FindAllStringSubmatch(m.readMenu(t), -1) {
		named[match[1]] = true
		data, err := os.ReadFile(filepath.Join(m.grub(), "gitboot", match[1]))
		if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != match[1] {
			t.Errorf("the menu names a copy that is not there or not whole: %.12s: %v", match[1], err)
		}
	}
	if len(named) == 0 {
		t.Error("the menu names no copies")
	}
	return named
}

// checkCopies sees that the menu's copies are there, and nothing else.
func (m machine) checkCopies(t *testing.T) {
	t.Helper()
	named := m.checkNamed(t)
	entries, err := os.ReadDir(filepath.Join(m.grub(), "gitboot"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !named[e.Name()] && e.Name() != "gitboot.cfg" {
			t.Errorf("%s is left, and nothing names it", e.Name())
		}
	}
}
