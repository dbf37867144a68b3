package vm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

// The examples that are built, built and booted as they are but for this:
// their kernel is Debian's for virtual machines, which is a third of the size;
// what their bootstrap writes is taken from the cache, where it was written by
// the example's own command but for that; the check is added; the console is
// the serial port.
func TestExamples(t *testing.T) {
	for _, c := range []struct{ example, machine, image string }{
		{"recipes", "desk", "development"},
		{"fragments", "hall", "kiosk"},
	} {
		t.Run(c.example, func(t *testing.T) {
			s := newExample(t, c.example, c.machine)
			disk := s.disk(t, lab.DiskOptions{SizeMB: exampleDisk})
			s.run(t, disk, c.machine, "reconcile", "--once")
			sharedLayers(t, s.deployments(t, disk))
			vm := s.start(t, lab.VMOptions{Disk: disk.Path, Snapshot: true})
			s.checkMachine(t, vm, c.machine, c.image)
		})
	}
}

// The example with two machines: what the tower builds and pushes is what the
// laptop pulls, and boots.
func TestExampleWithTwoMachines(t *testing.T) {
	s := newExample(t, "dotfiles", "tower")
	tower := s.disk(t, lab.DiskOptions{SizeMB: exampleDisk})
	s.run(t, tower, "tower", "reconcile", "--once")
	built := s.deployments(t, tower)
	sharedLayers(t, built)
	if err := tower.Remove(); err != nil {
		t.Fatal(err)
	}

	laptop := s.disk(t, lab.DiskOptions{})
	s.run(t, laptop, "laptop", "reconcile", "--once")
	pulled := s.deployments(t, laptop)
	if len(pulled) != 1 || !slices.ContainsFunc(built, func(m *deployment.Manifest) bool {
		return m.Image == pulled[0].Image && slices.Equal(m.Layers, pulled[0].Layers)
	}) {
		t.Errorf("the laptop has not what the tower built: %+v, not among %+v", pulled, built)
	}
	vm := s.start(t, lab.VMOptions{Disk: laptop.Path, Snapshot: true})
	s.checkMachine(t, vm, "laptop", "work")
}

// exampleDisk has room for an engine's store besides the stage, in megabytes.
const exampleDisk = 8192

// newExample makes a site of an example, whose base is built by machine.
func newExample(t *testing.T, name, machine string) *site {
	t.Helper()
	s := newEmptySite(t)
	steps := []func() error{
		func() error { return s.repo.CopyDir(filepath.Join("../../examples", name)) },
		func() error { return s.cacheBootstrap(machine) },
		s.useRegistry,
		s.addCheck,
		func() error { _, err := s.repo.Commit(s.ctx, "Begin with "+name); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

var bootstrapKey = regexp.MustCompile(`(?s)\nbootstrap = \[\n.*?\n\]\n`)

// cacheBootstrap runs the base's bootstrap command, with the smaller kernel, if
// the cache does not hold what it writes, and puts reading that in its place.
func (s *site) cacheBootstrap(machine string) error {
	fleet, err := spec.Load(s.ctx, os.DirFS(s.repo.Dir))
	if err != nil {
		return err
	}
	wants, err := fleet.Resolve(s.ctx, machine)
	if err != nil {
		return err
	}
	base := wants.Images[0]
	for base.Build.Base != nil {
		base = *base.Build.Base
	}
	var command []string
	for _, word := range base.Build.Bootstrap {
		command = append(command, strings.ReplaceAll(word, "linux-image-amd64", "linux-image-cloud-amd64"))
	}
	tar, err := lab.Bootstrap(s.ctx, "", command)
	if err != nil {
		return err
	}
	for _, name := range []string{"images/images.toml", "gitboot.toml"} {
		text, err := os.ReadFile(filepath.Join(s.repo.Dir, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if command := bootstrapKey.FindString(string(text)); command != "" {
			return s.repo.Replace(name, command, fmt.Sprintf("\nbootstrap = [\"cat\", %q]\n", tar))
		}
	}
	return errors.New("no bootstrap is declared")
}

// useRegistry has those who push and pull use the site's registry.
func (s *site) useRegistry() error {
	const images = "images/images.toml"
	if _, err := os.Stat(filepath.Join(s.repo.Dir, images)); err != nil {
		return nil // an example of one machine
	}
	return errors.Join(
		s.repo.Replace(images, "registry.lan:5000", s.registry.Addr),
		s.repo.Replace(images, "\n[image.work]\n", "\n[image.work]\ninsecure = true\n"))
}

// addCheck has every machine check itself.
func (s *site) addCheck() error {
	for _, from := range []string{"examples/check.sh", "config/check/functions.sh", "config/check/rc.local"} {
		data, err := os.ReadFile(filepath.Join("testdata", from))
		if err != nil {
			return err
		}
		if err := s.repo.Write("lab/"+filepath.Base(from), string(data)); err != nil {
			return err
		}
	}
	hook, err := os.ReadFile("testdata/examples/hook.toml")
	if err != nil {
		return err
	}
	const hooks = "\nhooks       = ["
	return errors.Join(
		s.repo.Replace("gitboot.toml", hooks, hooks+`"check", `),
		s.repo.Replace("gitboot.toml", `kernel_args = ["quiet"]`, `kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check"]`),
		s.repo.Replace("gitboot.toml", "\n[defaults.machine]\n", "\n"+string(hook)+"\n[defaults.machine]\n"))
}

// sharedLayers checks that a machine's two images are layers that they share,
// and some that are their own.
func sharedLayers(t *testing.T, deployments []*deployment.Manifest) {
	t.Helper()
	if len(deployments) != 2 {
		t.Fatalf("there are %d deployments, want 2", len(deployments))
	}
	a, b := deployments[0].Layers, deployments[1].Layers
	shared := 0
	for shared < min(len(a), len(b)) && a[shared] == b[shared] {
		shared++
	}
	t.Logf("%s has %d layers, %s has %d, and %d of them are the same", deployments[0].Image, len(a), deployments[1].Image, len(b), shared)
	if shared < 3 {
		t.Errorf("the images share %d layers, want the base's and those of what is common to them", shared)
	}
	if slices.Equal(a, b) {
		t.Error("the images are the same")
	}
}

// deployments reads the manifests on a disk's stage.
func (s *site) deployments(t *testing.T, d *lab.Disk) (out []*deployment.Manifest) {
	t.Helper()
	mnt, err := d.Mount(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(mnt, "gitboot/deployments/*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := deployment.ParseManifest(data, strings.TrimSuffix(filepath.Base(path), ".json"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	if err := d.Unmount(); err != nil {
		t.Fatal(err)
	}
	return out
}
