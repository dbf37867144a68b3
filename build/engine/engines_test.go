package engine

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// newEngine opens buildah on a store of the test's own.
func newEngine(t *testing.T) *Buildah {
	t.Helper()
	need.Root(t)
	b, err := NewBuildah(BuildahOptions{Dir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	return b
}

func TestBuildah(t *testing.T) {
	b := newEngine(t)
	contract(t, tested{Engine: b, folders: []string{b.root, b.temp, b.runRoot}, idle: func(t *testing.T) {
		if out, err := b.output(t.Context(), b.temp, "containers", "--quiet"); err != nil || out != "" {
			t.Errorf("containers are left: %s %v", out, err)
		}
		emptied(t, b)
	}})
	t.Run("limits", func(t *testing.T) { testLimits(t, b) })
}

// newPodman opens podman on a store of the test's own.
func newPodman(t *testing.T) *Buildah {
	t.Helper()
	need.Root(t)
	run, err := os.MkdirTemp("/run", "gitboot-") // podman wants a path of 50 characters at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	b, err := NewPodman(BuildahOptions{Dir: t.TempDir(), RunDir: run})
	if err != nil {
		t.Fatal(err)
	}
	need.Done(t, b.Check(t.Context()))
	return b
}

func TestPodman(t *testing.T) {
	b := newPodman(t)
	contract(t, tested{Engine: b, folders: []string{b.root, b.temp, b.runRoot}, idle: func(t *testing.T) {
		if out, err := b.output(t.Context(), b.temp, "ps", "--all", "--external", "--quiet"); err != nil || out != "" {
			t.Errorf("containers are left: %s %v", out, err)
		}
		emptied(t, b)
	}})
	t.Run("limits", func(t *testing.T) { testLimits(t, b) })
}

func TestBuildkit(t *testing.T) {
	need.Root(t)
	dir, program := t.TempDir(), speaker(t)
	socket := filepath.Join(dir, "sock")
	startBuildkitd(t, dir, []string{"unix://" + socket})
	b := newBuildkit(t, program, protocol.Builder{Address: "unix://" + socket})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	contract(t, tested{Engine: b, folders: []string{b.dir, dir}, idle: func(t *testing.T) {
		empty(t, filepath.Join(b.dir, protocol.IngestFolder))
	}})
	t.Run("transfers what lacks", func(t *testing.T) { testTransfers(t, program, socket) })
	t.Run("no room", func(t *testing.T) { testNoRoom(t, program, socket) })
}

// testLimits looks whether a step has the limits that this process has: an
// engine that raises them fails where it may not.
func testLimits(t *testing.T, e Engine) {
	var names = regexp.MustCompile(`(?m)^Max (?:processes|open files) .*$`)
	img := must(t, e, recipe.Recipe{FS: repo(nil), Run: []string{"cat /proc/self/limits > /root/limits"}}, Options{Base: busybox(t, e).ID})
	got := names.FindAllString(contents(t, img)["root/limits"].content, -1)
	own, err := os.ReadFile("/proc/self/limits")
	if want := names.FindAllString(string(own), -1); err != nil || len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("a step's limits are %q, not %q (%v)", got, want, err)
	}
}

func TestDocker(t *testing.T) {
	need.Root(t)
	dir, err := os.MkdirTemp("", "docker-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "sock")
	daemon, err := lab.StartDockerd(dir, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(daemon.Stop(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	d, err := NewDocker(DockerOptions{Dir: t.TempDir(), Program: speaker(t), Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	contract(t, tested{Engine: d, folders: []string{d.dir, dir}, idle: func(t *testing.T) {
		names, err := d.tags(t.Context())
		if err != nil || len(names) == 0 || strings.Contains(strings.Join(names, " "), underWay) {
			t.Errorf("docker's store has %q (%v)", names, err)
		}
	}})
	t.Run("lost", func(t *testing.T) { testLostInDocker(t, d) })
}

// testLostInDocker takes away what docker's store holds of ours.
func testLostInDocker(t *testing.T, d *Docker) {
	parent := must(t, d, recipe.Recipe{FS: repo(nil), Run: []string{"echo parent > /root/p"}}, Options{Base: busybox(t, d).ID})
	names, err := d.tags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := d.untag(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	child := must(t, d, recipe.Recipe{FS: repo(nil), Run: []string{"cat /root/p > /root/c"}}, Options{Base: parent.ID})
	if n := len(parent.Layers); len(child.Layers) != n+1 || child.Layers[n-1].DiffID != parent.Layers[n-1].DiffID {
		t.Error("a base that was loaded again is not the same")
	}
	if _, err := d.Collect(t.Context(), []string{child.ID}, 1); err != nil {
		t.Error(err)
	}
	if names, err = d.tags(t.Context()); err != nil || len(names) != 1 || names[0] != d.name(child.ID) {
		t.Errorf("docker's store keeps %q (%v)", names, err)
	}
	contents(t, child)
}

// emptied looks whether nothing is left but what steps keep for the next build,
// and whether that goes when there is no room for it.
func emptied(t *testing.T, b *Buildah) {
	t.Helper()
	if err := b.Clean(t.Context()); err != nil {
		t.Error(err)
	}
	if freed, err := b.collectMounts(1 << 30); freed != 0 || err != nil {
		t.Errorf("where there is room, %d bytes went: %v", freed, err)
	}
	if left, err := os.ReadDir(b.temp); err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), cacheMounts) {
		t.Errorf("files are left: %v %v", left, err)
	}
	if _, err := b.collectMounts(-1); err != nil {
		t.Error(err)
	}
	empty(t, b.temp)
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}
