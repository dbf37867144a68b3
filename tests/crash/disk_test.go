package crash

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// failures are how a disk ends in the middle of a run, what does that to a real file
// system, and what a run says then. All that is written after it fails.
var failures = map[string]struct {
	fail func(ctx context.Context, point, device string) error
	says string
}{
	"eio": {func(ctx context.Context, point, _ string) error {
		_, err := lab.Run(ctx, "xfs_io", "-x", "-c", "shutdown", point)
		return err
	}, "input/output error"},
	"erofs": {func(_ context.Context, _, device string) error {
		return os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("1"), 0)
	}, "read-only file system"},
}

// A disk that fails, or that the kernel makes read-only because it has, leaves the
// old menu or the new one; the run says what to do; and when the disk is well again,
// the next run converges.
func TestFailingDisk(t *testing.T) {
	lab.RequireMachines(t)
	need.Programs(t, "mkfs.ext4", "e2fsck", "xfs_io")
	w := newWorkplace(t)
	first, second := pushSmall(t, w.registry, w.dir, "6.1.0"), pushSmall(t, w.registry, w.dir, "6.2.0")
	commit(t, t.Context(), w.repo, first, "one")
	d, oldMenu := newStagedDisk(t, w)
	commit(t, t.Context(), w.repo, second, "two")

	whole := d.copy(t)
	whole.mount(t)
	names := points(t, whole.machine)
	newMenu := whole.readMenu(t)
	whole.unmount(t)
	for _, name := range names {
		if strings.Contains(name, "#") {
			continue // the same place, at another layer
		}
		for kind := range failures {
			t.Run(kind+" at "+name, func(t *testing.T) { d.checkFailing(t, kind, name, oldMenu, newMenu) })
		}
	}
}

// So does one on which an image is built: what an engine has left of it is in nobody's
// way.
func TestBuildsOnAFailingDisk(t *testing.T) {
	lab.RequireMachines(t)
	need.Programs(t, "mkfs.ext4", "e2fsck", "xfs_io", "buildah")
	w := newWorkplace(t)
	smallRoot(t, filepath.Join(w.repo.Dir, "root.tar"))
	image := published{w.registry.Addr + "/desktop:nightly"}
	commitBuilt(t, t.Context(), w.repo, image, "one")
	d, oldMenu := newStagedDisk(t, w)
	commitBuilt(t, t.Context(), w.repo, image, "two")

	whole := d.copy(t)
	whole.mount(t)
	whole.mustRun(t, "reconcile", "--once")
	newMenu := whole.readMenu(t)
	whole.unmount(t)
	for point, kind := range map[string]string{"build.executed": "eio", "workshop.record": "erofs"} {
		t.Run(kind+" at "+point, func(t *testing.T) { d.checkFailing(t, kind, point, oldMenu, newMenu) })
	}
}

// newStagedDisk is a disk with what is committed now, and its menu.
func newStagedDisk(t *testing.T, w workplace) (smallDisk, string) {
	t.Helper()
	d := newSmallDisk(t, w)
	d.mount(t)
	defer d.unmount(t)
	makeGRUBFolder(t, d.machine)
	d.mustRun(t, "reconcile", "--once")
	return d, d.readMenu(t)
}

// checkFailing makes a run on a copy of the disk, which fails at a point, and the next
// one when it is well again.
func (d smallDisk) checkFailing(t *testing.T, kind, point, oldMenu, newMenu string) {
	t.Helper()
	f := failures[kind]
	d = d.copy(t)
	device := d.mount(t)
	out, err := d.stopped(t, point, func() error { return f.fail(t.Context(), d.dir, device) })
	if err != nil && !(strings.Contains(out, f.says) && strings.Contains(out, remedy)) {
		t.Errorf("the run does not say %q and %q: %v\n%s", f.says, remedy, err, out)
	}
	d.unmount(t)
	d.check(t)
	d.mount(t)
	defer d.unmount(t)
	if menu := d.readMenu(t); menu != newMenu && (err == nil || menu != oldMenu) {
		t.Errorf("the run ends with %v, and the menu is\n%s", err, menu)
	}
	d.checkBootable(t)
	d.checkNext(t, newMenu)
}

// stopped makes a run and has something happen while it stands at a point.
func (m machine) stopped(t *testing.T, point string, do func() error) (string, error) {
	t.Helper()
	var out strings.Builder
	cmd := exec.CommandContext(t.Context(), m.gitboot, m.args("reconcile", "--once")...)
	cmd.Env = append(os.Environ(), "GITBOOT_FAULT="+point+":stop")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	const stops = unix.WSTOPPED | unix.WEXITED | unix.WNOWAIT
	err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, stops, nil)
	for errors.Is(err, unix.EINTR) {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, stops, nil)
	}
	if err := errors.Join(err, do(), cmd.Process.Signal(unix.SIGCONT)); err != nil {
		t.Errorf("the disk does not fail: %v", err)
	}
	err = cmd.Wait()
	return out.String(), err
}

// remedy is in what is said of a disk that fails.
const remedy = "look at the kernel's log"

// A smallDisk is a machine on an image of a disk of its own.
type smallDisk struct {
	machine
	image string
}

func newSmallDisk(t *testing.T, w workplace) smallDisk {
	t.Helper()
	d := smallDisk{machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: filepath.Join(w.dir, "small")}, filepath.Join(w.dir, "image")}
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "mkfs.ext4", "-q", d.image, "96M"); err != nil {
		t.Fatal(err)
	}
	return d
}

// copy gives a machine with the same content.
func (d smallDisk) copy(t *testing.T) smallDisk {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	if _, err := lab.Run(t.Context(), "cp", "--sparse=always", d.image, image); err != nil {
		t.Fatal(err)
	}
	d.image = image
	return d
}

var mountedFrom = regexp.MustCompile(`/dev/(loop\d+)`)

// mount mounts the disk until unmount or the test's end, and returns the name of its
// device.
func (d smallDisk) mount(t *testing.T) string {
	t.Helper()
	if _, err := lab.Run(t.Context(), "mount", "-o", "loop,errors=remount-ro", d.image, d.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(d.dir, unix.MNT_DETACH) })
	out, err := lab.Run(t.Context(), "findmnt", "-n", "-o", "SOURCE", d.dir)
	m := mountedFrom.FindStringSubmatch(out)
	if err != nil || m == nil {
		t.Fatalf("mounted from %q, %v", out, err)
	}
	return m[1]
}

func (d smallDisk) unmount(t *testing.T) {
	t.Helper()
	if _, err := lab.Run(t.Context(), "umount", d.dir); err != nil {
		t.Fatal(err)
	}
}

// check does what a system does at boot. That something was put right is status 1.
func (d smallDisk) check(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "e2fsck", "-p", d.image).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("e2fsck: %v: %s", err, out)
	}
}
