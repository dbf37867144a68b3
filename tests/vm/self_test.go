package vm

import (
	"archive/tar"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// formerDisk is the fstab of a system that was installed on a disk: with it, a
// boot ends in emergency mode after a minute and a half.
const formerDisk = `LABEL=nowhere / ext4 errors=remount-ro 0 1
LABEL=UEFI /boot/efi vfat umask=0077 0 1
UUID=00000000-0000-0000-0000-000000000000 none swap sw 0 0
`

// A machine that gitboot booted follows its config repo by itself: it stages a
// new generation beside the running one, on a stage that is read-only but for
// that, and the next boot is the new one.
func TestMachineReconcilesItself(t *testing.T) {
	s := newSite(t)
	s.pushAgent(t)
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true})
	s.run(t, disk, "self", "reconcile", "--once")
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, Bus: lab.Virtio})
	ctx, cancel := context.WithTimeout(s.ctx, 2*bootLimit)
	defer cancel()
	var ids []string
	for _, line := range []string{
		`lab: /root is 700, and nothing is mounted at /boot/efi`,
		`lab: step 1 is deployment ([0-9a-f]{64})`,
		`self: converged on revision`,
		`lab: mounted \S+ /run/initramfs/gitboot ext4 ro,`,
		`lab: step 2 is deployment ([0-9a-f]{64})`,
	} {
		m, err := vm.WaitFor(ctx, regexp.MustCompile(line))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%.1f s: %s", m.At.Seconds(), m.Groups[0])
		ids = append(ids, m.Groups[1:]...)
	}
	if ids[0] == ids[1] {
		t.Error("the second boot is the first deployment")
	}
}

// pushAgent publishes an image that holds gitboot and a clone of the config
// repo, in which there is one commit more than the host applies.
func (s *site) pushAgent(t *testing.T) {
	t.Helper()
	rootfs, err := lab.RootFS(s.ctx, lab.Bookworm)
	if err != nil {
		t.Fatal(err)
	}
	clone := filepath.Join(s.dir, "clone")
	if _, err := lab.Run(s.ctx, "git", "clone", "--quiet", s.repo.Dir, clone); err != nil {
		t.Fatal(err)
	}
	ahead := &lab.Repo{Dir: clone}
	if err := ahead.Replace("gitboot.toml", `step = "1"`, `step = "2"`); err != nil {
		t.Fatal(err)
	}
	if _, err := ahead.Commit(s.ctx, "Take the second step"); err != nil {
		t.Fatal(err)
	}
	entries := append(folder(t, clone, "srv/fleet"),
		entry{tar.Header{Name: "etc/fstab", Mode: 0o644}, formerDisk},
		entry{tar.Header{Name: "root/note", Mode: 0o644}, "the folder has no entry in this layer"},
		program(t, s.gitboot, "usr/local/bin/gitboot"),
		program(t, s.gitboot+"-init", "usr/local/lib/gitboot/gitboot-init"))
	layer := filepath.Join(s.dir, "agent.tar")
	writeLayer(t, layer, entries)
	if _, _, err := s.registry.Push(s.ctx, "lab:self", nil, lab.Layer{Path: rootfs}, lab.Layer{Path: layer}); err != nil {
		t.Fatal(err)
	}
}

func program(t *testing.T, path, name string) entry {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return entry{tar.Header{Name: name, Mode: 0o755}, string(data)}
}

// folder returns the entries of a folder's files.
func folder(t *testing.T, dir, name string) []entry {
	t.Helper()
	var entries []entry
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			full := strings.TrimSuffix(filepath.Join(name, path), "/") + "/"
			entries = append(entries, entry{tar.Header{Name: full, Typeflag: tar.TypeDir, Mode: 0o755}, ""})
			return nil
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		entries = append(entries, entry{tar.Header{Name: filepath.Join(name, path), Mode: 0o644}, string(data)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
