package place

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

const mountinfo = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 27 254:1 / /srv rw - ext4 /dev/vdb rw
31 27 0:40 /@/sub /srv/b\040c rw shared:2 master:1 - btrfs /dev/mapper/x rw,subvolid=5
32 27 254:2 / /srv rw - xfs /dev/vdc rw
33 27 254:3 /old//deleted /gone rw - ext4 /dev/vdd rw
`

func TestFindMount(t *testing.T) {
	for _, c := range []struct {
		dir    string
		id     uint64
		source string
	}{
		{"/etc", 0, "/dev/vda"}, {"/", 0, "/dev/vda"}, {"/srvx", 0, "/dev/vda"},
		{"/srv/x", 0, "/dev/vdc"}, {"/srv", 0, "/dev/vdc"}, {"/srv/x", 30, "/dev/vdb"},
		{"/srv/b c/d", 31, "/dev/mapper/x"},
	} {
		m, err := findMount(mountinfo, c.dir, c.id)
		if err != nil || m.source != c.source {
			t.Errorf("%s is on %+v, %v; want %s", c.dir, m, err, c.source)
		}
	}
	m, err := findMount(mountinfo, "/srv/b c", 31)
	if err != nil || m.root != "/@/sub" || m.point != "/srv/b c" || m.fstype != "btrfs" {
		t.Errorf("got %+v, %v", m, err)
	}
	gone, err := findMount(mountinfo, "/gone", 33)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := gone.filesystem(t.Context(), "/gone", true); err == nil {
		t.Error("a deleted root is accepted")
	}
	for _, bad := range []string{"x\n", "1 2 3:4 / / rw ext4 /dev/vda rw\n", ""} {
		if _, err := findMount(bad, "/", 0); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestFindRefuses(t *testing.T) {
	for _, fstype := range []string{"overlay", "tmpfs", "nfs4", "fuse.sshfs", "zfs", "squashfs"} {
		if err := checkType(fstype); err == nil || !strings.Contains(err.Error(), "give a directory on a disk") {
			t.Errorf("%s: %v", fstype, err)
		}
	}
	if _, err := Find(t.Context(), "/proc"); err == nil {
		t.Error("/proc has a place on a disk")
	}
	if _, err := Find(t.Context(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func mounted(t *testing.T, name string, size int64, mkfs ...string) string {
	t.Helper()
	point := filepath.Join(t.TempDir(), name)
	need.Filesystem(t, point, size, "defaults", mkfs...)
	return point
}

func TestFindExt4(t *testing.T) {
	const uuid = "0b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"
	point := mounted(t, "with space", 8<<20, "mkfs.ext4", "-q", "-U", uuid)
	dir := filepath.Join(point, "a", "stage")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, link} {
		got, err := Find(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		if got.UUID != uuid || got.Type != "ext4" || got.Path != "/a/stage" || !strings.HasPrefix(got.Device, "/dev/loop") {
			t.Errorf("%s is at %+v", d, got)
		}
	}
	// Seen through a bind mount, the path is still the file system's.
	bind := t.TempDir()
	if out, err := exec.Command("mount", "--bind", filepath.Join(point, "a"), bind).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := Find(t.Context(), filepath.Join(bind, "stage"))
	if out, e := exec.Command("umount", bind).CombinedOutput(); e != nil {
		t.Errorf("%v: %s", e, out)
	}
	if err != nil || got.Path != "/a/stage" {
		t.Errorf("through a bind mount: %+v, %v", got, err)
	}
}

func TestFindBtrfs(t *testing.T) {
	const uuid = "1b8e2ff4-8dcf-4a9b-a0b5-6b2f4f1a2c3d"
	point := mounted(t, "btrfs", 120<<20, "mkfs.btrfs", "-q", "-U", uuid)
	sub := filepath.Join(point, "@sub")
	if out, err := exec.Command("btrfs", "subvolume", "create", sub).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	dir := filepath.Join(sub, "stage")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Find(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.UUID != uuid || got.Type != "btrfs" || got.Path != "/@sub/stage" {
		t.Errorf("got %+v", got)
	}
}
