package crash

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A run that builds an image, stages and pushes it is cut where building and
// pushing are done; the steps in between are those of a pulled image
// (TestCutAtEveryPoint).
func TestCutBuilds(t *testing.T) {
	lab.RequireMachines(t)
	before, registry := prepareBuilt(t)
	oldMenu := before.readMenu(t)
	whole := before.copy(t)
	names := points(t, whole)
	newMenu := whole.readMenu(t)
	pushed := registry.layers(t)
	if oldMenu == "" || oldMenu == newMenu || pushed == "" {
		t.Fatal("the second revision changes nothing: nothing to test")
	}
	for _, want := range []string{"workshop.build", "build.imported", "build.executed", "build.recorded", "workshop.record", "apply.layers", "workshop.publish"} {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+want+" ") {
			t.Errorf("the run does not pass %s: %v", want, names)
			continue
		}
		t.Run("kill at "+want, func(t *testing.T) {
			m := before.copy(t)
			if out, err := m.run(t, []string{"GITBOOT_FAULT=" + want + ":kill"}, "reconcile", "--once"); err == nil {
				t.Fatalf("the run was not killed\n%s", out)
			}
			if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
				t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
			}
			m.checkBootable(t)
			m.checkConverged(t, newMenu)
			m.checkStore(t)
			if got := registry.layers(t); got != pushed {
				t.Errorf("pushed are the layers %s, not %s", got, pushed)
			}
		})
	}
}

// The polling reconcile has workshop and machine work side by side. It is cut
// where either of them is, and so the other somewhere: nothing is lost, and the
// next run ends where one without a cut does.
func TestCutSideBySide(t *testing.T) {
	lab.RequireMachines(t)
	before, registry := prepareBuilt(t)
	oldMenu := before.readMenu(t)
	whole := before.copy(t)
	whole.mustRun(t, "reconcile", "--once")
	newMenu, pushed := whole.readMenu(t), registry.layers(t)
	for _, point := range []string{"apply.state", "build.executed", "apply.menu", "workshop.publish"} {
		t.Run("kill at "+point, func(t *testing.T) {
			m := before.copy(t)
			if out, err := m.run(t, []string{"GITBOOT_FAULT=" + point + ":kill"}, "reconcile", "--poll", "50ms"); !killed(err) {
				t.Fatalf("it was not killed: %v\n%s", err, out)
			}
			if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
				t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
			}
			m.checkBootable(t)
			m.checkConverged(t, newMenu)
			m.checkStore(t)
			if got := registry.layers(t); got != pushed {
				t.Errorf("pushed are the layers %s, not %s", got, pushed)
			}
		})
	}
}

// checkStore looks for what cut builds leave in buildah's store.
func (m machine) checkStore(t *testing.T) {
	t.Helper()
	dir := filepath.Join(m.stage(), "engine/buildah")
	out, err := lab.Run(t.Context(), "buildah", "--root", filepath.Join(dir, "store"), "--runroot", t.TempDir(), "containers", "--quiet")
	if err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("containers are left: %s %v", out, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("mounts are left: %v", err)
	}
}

// A published image in a registry.
type published struct{ ref string }

// layers names the image's layers; its labels say when it was built.
func (p published) layers(t *testing.T) string {
	t.Helper()
	data, err := crane.Manifest(p.ref, crane.Insecure, crane.WithContext(t.Context()))
	if err != nil {
		t.Error(err)
	}
	_, layers, _ := strings.Cut(string(data), `"layers"`)
	return layers
}

// prepareBuilt gives a machine like that of prepare whose image is built here,
// on the root file system of an archive, and pushed.
func prepareBuilt(t *testing.T) (machine, published) {
	t.Helper()
	need.Program(t, "buildah")
	w := newWorkplace(t)
	smallRoot(t, filepath.Join(w.repo.Dir, "root.tar"))
	image := published{w.registry.Addr + "/desktop:nightly"}
	commitBuilt(t, t.Context(), w.repo, image, "one")
	m := machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: t.TempDir()}
	makeGRUBFolder(t, m)
	m.mustRun(t, "reconcile", "--once")
	commitBuilt(t, t.Context(), w.repo, image, "two")
	return m, image
}

func commitBuilt(t *testing.T, ctx context.Context, repo *lab.Repo, image published, which string) {
	t.Helper()
	config := `[image.base.build]
from = "archive:root.tar"
run  = ["echo ` + which + ` > /etc/base"]
rootfs_fixes = false

[image.desktop]
insecure = true
keep = 1
[image.desktop.build]
from = "image:base"
run  = ["echo ` + which + ` > /etc/which"]
push = "` + image.ref + `"

[machine.laptop]
images = ["desktop"]
builds = ["desktop"]
`
	if err := repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Commit(ctx, which); err != nil {
		t.Fatal(err)
	}
}

// smallRoot packs a root file system of busybox and what looks like a kernel.
func smallRoot(t *testing.T, path string) {
	t.Helper()
	busybox := need.Program(t, "busybox")
	root := t.TempDir()
	if err := lab.FakeKernel(root, "6.1.0-test", true); err != nil {
		t.Fatal(err)
	}
	script := `set -e; cd "$1"; mkdir -p bin etc tmp root; cp "$2" bin/busybox; chmod 755 bin/busybox
for name in sh cat echo ls mkdir ln rm grep touch; do ln -s busybox bin/$name; done
tar --sort=name --owner=0 --group=0 --mtime=@1000000000 -cf "$3" .`
	if _, err := lab.Run(t.Context(), "sh", "-c", script, "sh", root, busybox, path); err != nil {
		t.Fatal(err)
	}
}
