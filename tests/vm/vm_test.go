// Package vm boots what gitboot stages, through GRUB, in virtual machines that
// check themselves from inside.
//
// Each machine's image is a Debian root file system and two layers above it
// that hold everything a layer can: whiteouts, opaque folders, capabilities,
// setuid programs, hard links, devices. The hook "check" in testdata/config
// runs check.sh when the machine's own init is done; it prints one line a
// check on the console. The examples' machines (examples_test.go) are built
// from what the examples say, and check themselves with testdata/examples.
//
// debian_test.go runs gitboot in a Debian that is installed beside it. What takes
// long there has the build tag long and a target of its own, make test-long.
//
// GITBOOT_CONSOLE=1 shows the consoles.
package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A site is what the machines have in common: the program under test, the
// registry, the config repo.
type site struct {
	ctx      context.Context
	dir      string
	gitboot  string
	registry *lab.Registry
	repo     *lab.Repo
	accel    lab.Accel
	// mac is that of the machines' network card, empty for none.
	mac string
}

// newSite makes the fleet of testdata/config.
func newSite(t *testing.T) *site {
	t.Helper()
	s := newEmptySite(t)
	if err := s.repo.CopyDir("testdata/config"); err != nil {
		t.Fatal(err)
	}
	if err := s.repo.Replace("gitboot.toml", "REGISTRY", s.registry.Addr); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(s.ctx, "Begin the fleet"); err != nil {
		t.Fatal(err)
	}
	return s
}

// newEmptySite has a config repo with nothing in it.
func newEmptySite(t *testing.T) *site {
	t.Helper()
	lab.RequireMachines(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	t.Cleanup(cancel)
	s := &site{ctx: ctx, dir: t.TempDir()}
	var err error
	if s.accel, err = lab.Accelerator(ctx); err != nil {
		t.Fatal(err)
	}
	if s.gitboot, err = lab.Build(ctx, filepath.Join(s.dir, "bin")); err != nil {
		t.Fatal(err)
	}
	if s.registry, err = lab.NewRegistry(filepath.Join(s.dir, "registry")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.registry.Close() })
	if s.repo, err = lab.NewRepo(ctx, filepath.Join(s.dir, "config")); err != nil {
		t.Fatal(err)
	}
	return s
}

// push publishes the image of a kind, with the lab's layers and those given.
func (s *site) push(t *testing.T, kind lab.Kind, more ...[]entry) {
	t.Helper()
	rootfs, err := lab.RootFS(s.ctx, kind)
	if err != nil {
		t.Fatal(err)
	}
	programs := readTar(t, rootfs, "usr/bin/id", "usr/sbin/chroot")
	layers := []lab.Layer{{Path: rootfs}}
	own := append([][]entry{lowerLayer(programs["usr/bin/id"], programs["usr/sbin/chroot"]), upperLayer()}, more...)
	for i, entries := range own {
		path := filepath.Join(s.dir, fmt.Sprintf("%s-%d.tar", kind, i))
		writeLayer(t, path, entries)
		compression := []string{lab.Gzip, lab.Zstd, lab.None}[i%3]
		layers = append(layers, lab.Layer{Path: path, Compression: compression})
	}
	if _, _, err := s.registry.Push(s.ctx, "lab:"+string(kind), nil, layers...); err != nil {
		t.Fatal(err)
	}
}

func (s *site) disk(t *testing.T, o lab.DiskOptions) *lab.Disk {
	t.Helper()
	d, err := lab.NewDisk(s.ctx, filepath.Join(t.TempDir(), "disk.img"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Unmount(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// run runs gitboot for a machine with the disk mounted, and returns what it says.
func (s *site) run(t *testing.T, d *lab.Disk, machine string, args ...string) string {
	t.Helper()
	out, err := s.runs(t, d, machine, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// runs is run for what may fail.
func (s *site) runs(t *testing.T, d *lab.Disk, machine string, args ...string) (said string, failed error) {
	t.Helper()
	s.look(t, d, func(mnt string) error {
		args = append(args, "--repo", s.repo.Dir, "--machine", machine,
			"--stage", filepath.Join(mnt, "gitboot"), "--boot", filepath.Join(mnt, "boot/grub"))
		began := time.Now()
		out, err := exec.CommandContext(s.ctx, s.gitboot, args...).CombinedOutput()
		t.Logf("gitboot %s: %.1f s\n%s", strings.Join(args, " "), time.Since(began).Seconds(), out)
		said, failed = string(out), err
		return nil
	})
	return said, failed
}

// look does something with the disk mounted.
func (s *site) look(t *testing.T, d *lab.Disk, do func(mnt string) error) {
	t.Helper()
	mnt, err := d.Mount(s.ctx)
	if err == nil {
		err = errors.Join(do(mnt), d.Unmount())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) start(t *testing.T, o lab.VMOptions) *lab.VM {
	t.Helper()
	o.Accel, o.MAC = s.accel, cmp.Or(o.MAC, s.mac)
	if os.Getenv("GITBOOT_CONSOLE") != "" {
		o.Console = os.Stderr
	}
	vm, err := lab.StartVM(s.ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Stop(); err != nil {
			t.Error(err)
		}
	})
	return vm
}

// bootLimit is many times what a boot takes under software emulation, on a computer
// that has much else to do.
const bootLimit = 10 * time.Minute

var (
	headingLine = regexp.MustCompile(`lab: machine (\S+), generation (\S+)`)
	reportLine  = regexp.MustCompile(`lab: (?:(PASS) (.*)|(FAIL) (.*)|verdict: (\d+) passed, (\d+) failed)`)
)

// checkMachine waits for the running machine's report and fails the test for
// each FAIL line.
func (s *site) checkMachine(t *testing.T, vm *lab.VM, machine, generation string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, bootLimit)
	defer cancel()
	m, err := vm.WaitFor(ctx, headingLine)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s was up after %.1f s", machine, m.At.Seconds())
	if m.Groups[1] != machine || m.Groups[2] != generation {
		t.Errorf("generation %s of %s came up; want %s of %s", m.Groups[2], m.Groups[1], generation, machine)
	}
	for passed := 0; ; {
		m, err := vm.WaitFor(ctx, reportLine)
		switch {
		case err != nil:
			t.Fatal(err)
		case m.Groups[1] != "":
			passed++
		case m.Groups[3] != "":
			t.Errorf("in the machine: %s", m.Groups[4])
		default:
			t.Logf("%s checks passed, %s failed", m.Groups[5], m.Groups[6])
			if m.Groups[5] == "0" || m.Groups[5] != fmt.Sprint(passed) {
				t.Errorf("the machine says that %s checks passed; %d lines came through", m.Groups[5], passed)
			}
			return
		}
	}
}
