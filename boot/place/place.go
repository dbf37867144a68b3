// Package place finds where a folder lies, in terms that hold at boot.
package place

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/program"
)

// types are the file systems that process 1 can mount the stage of.
var types = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "f2fs"}

// Find finds the file system of a directory that exists, and refuses one of
// a kind, or on a device, from which process 1 could not read it.
func Find(ctx context.Context, dir string) (boot.Filesystem, error) {
	return find(ctx, dir, true)
}

// Of is Find for a directory that process 1 has nothing to do with, because the
// boot loader itself lies there: it reads what that is made of.
func Of(ctx context.Context, dir string) (boot.Filesystem, error) {
	return find(ctx, dir, false)
}

// Top is Of for a directory that has to be the top of a partition, which another program
// finds by itself. said, if not nil, is where it will lie, of one that is none yet.
func Top(ctx context.Context, dir string, said *boot.Filesystem) (boot.Filesystem, error) {
	if said == nil {
		fs, err := Of(ctx, dir)
		if err != nil {
			return fs, err
		}
		said = &fs
	}
	if said.Path != "/" {
		return *said, fmt.Errorf("%s is not the top of a partition, but %s on it; give the folder where it is mounted", dir, said.Path)
	}
	return *said, said.Check()
}

func find(ctx context.Context, dir string, early bool) (boot.Filesystem, error) {
	m, dir, err := mountOf(dir)
	if err == nil {
		var fs boot.Filesystem
		if fs, err = m.filesystem(ctx, dir, early); err == nil {
			return fs, nil
		}
	}
	return boot.Filesystem{}, fmt.Errorf("find the file system of %s for the boot loader: %w", dir, err)
}

// mountOf returns the mount that a directory is on, and its path without links.
func mountOf(dir string) (m mount, real string, err error) {
	if real, err = filepath.Abs(dir); err != nil {
		return m, dir, err
	}
	if real, err = filepath.EvalSymlinks(real); err != nil {
		return m, dir, err
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, real, 0, unix.STATX_MNT_ID, &st); err != nil {
		return m, dir, err
	}
	id := st.Mnt_id
	if st.Mask&unix.STATX_MNT_ID == 0 {
		id = 0 // before Linux 5.8
	}
	// Not self: that is the main thread, others can be in other namespaces.
	data, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return m, dir, err
	}
	m, err = findMount(string(data), real, id)
	return m, real, err
}

// filesystem says where a directory lies. What it is on has to be known if that is to
// be assembled early.
func (m mount) filesystem(ctx context.Context, dir string, early bool) (boot.Filesystem, error) {
	if err := checkType(m.fstype); err != nil {
		return boot.Filesystem{}, err
	}
	if !strings.HasPrefix(m.root, "/") || strings.HasSuffix(m.root, "//deleted") {
		return boot.Filesystem{}, fmt.Errorf("%s is mounted from %q, which is no longer there", m.point, m.root)
	}
	fs := boot.Filesystem{Type: m.fstype, Path: path.Join(m.root, strings.TrimPrefix(dir, strings.TrimSuffix(m.point, "/")))}
	number := m.device
	if strings.HasPrefix(number, "0:") { // btrfs has no device of its own
		var st unix.Stat_t
		if err := unix.Stat(m.source, &st); err != nil {
			return boot.Filesystem{}, fmt.Errorf("device %s of %s: %w", m.source, m.point, err)
		}
		number = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	sys := "/sys/dev/block/" + number
	name, err := deviceName(sys)
	if err != nil {
		return boot.Filesystem{}, err
	}
	fs.Device = name
	if fs.UUID, err = blkidUUID(ctx, fs.Device); err != nil {
		return fs, err
	}
	c, err := follow(devicesOf(fs, sys)...)
	if err == nil {
		fs.Assembly, err = c.assembly()
	}
	if err != nil && early {
		return boot.Filesystem{}, fmt.Errorf("%s: %w", fs.Device, err)
	}
	return fs, nil
}

func checkType(fstype string) error {
	const remedy = "; give a directory on a disk with ext4, xfs, btrfs, f2fs or vfat"
	switch {
	case slices.Contains(types, fstype):
		return nil
	case fstype == "overlay":
		return errors.New("it is in the overlay of the running system, which is gone at the next boot" + remedy)
	case fstype == "tmpfs" || fstype == "ramfs" || fstype == "devtmpfs":
		return fmt.Errorf("it is in memory (%s) and gone at the next boot%s", fstype, remedy)
	case slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs"}, fstype), strings.HasPrefix(fstype, "fuse"):
		return fmt.Errorf("it is on a file system (%s) that the boot loader cannot reach%s", fstype, remedy)
	}
	return fmt.Errorf("it is on %s, from which gitboot cannot boot%s", fstype, remedy)
}

func deviceName(sys string) (string, error) {
	data, err := os.ReadFile(sys + "/uevent")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok {
			return "/dev/" + name, nil
		}
	}
	return "", fmt.Errorf("%s/uevent does not name the device", sys)
}

const blkidTimeout = 30 * time.Second

func blkidUUID(ctx context.Context, device string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, blkidTimeout)
	defer cancel()
	// Without a cache, which could be from before the disk was formatted.
	out, err := program.Command(ctx, "blkid", "-c", "/dev/null", "-o", "export", device).Output()
	if err != nil {
		return "", fmt.Errorf("blkid %s: %w; is util-linux installed, and is this root?", device, err)
	}
	for line := range strings.Lines(string(out)) {
		if uuid, ok := strings.CutPrefix(strings.TrimSpace(line), "UUID="); ok && uuid != "" {
			return uuid, nil
		}
	}
	return "", fmt.Errorf("blkid finds no UUID on %s; only root can read it from the disk", device)
}
