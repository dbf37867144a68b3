package early

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
)

// deviceDir is where the stage's whole file system is mounted until the
// stage's directory is bound to its place.
const deviceDir = "/run/initramfs/gitboot-device"

// mountStage finds the stage's file system and mounts the stage read-only.
func (b *boot) mountStage() error {
	d, err := b.findStage()
	if err != nil {
		return err
	}
	b.log.info("found the stage's file system: %s on %s", d.fs.Type, d.path)
	if err := b.modules.loadNamed(moduleFor(d.fs.Type, b.modules)); err != nil {
		return err
	}
	if err := mountDevice(d); err != nil {
		return err
	}
	dir := filepath.Join(deviceDir, b.cmd.Stage.Path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("opening the stage: %s on %s has no folder %s", d.fs.Type, d.path, b.cmd.Stage.Path)
	}
	if err := mount(dir, stageDir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Unmount(deviceDir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detaching %s: %w", deviceDir, err)
	}
	return os.Remove(deviceDir)
}

// moduleFor names the module of a file system; ext4's serves all of ext's.
func moduleFor(fstype string, m *modules) string {
	if strings.HasPrefix(fstype, "ext") && !m.index.Has(fstype) {
		return "ext4"
	}
	return fstype
}

// mountDevice mounts read-only. A journal is still replayed, unless the
// device itself can't be written.
func mountDevice(d device) error {
	const flags = unix.MS_RDONLY | unix.MS_NODEV | unix.MS_NOSUID
	options, fallback := "", ""
	kind := d.fs.Type
	switch kind {
	case "btrfs":
		options, fallback = "subvolid=5", "subvolid=5,rescue=nologreplay"
	case "ext2", "ext3", "ext4":
		kind, fallback = "ext4", "noload"
	case "xfs":
		// a disk and its clone may both be there
		options, fallback = "nouuid", "nouuid,norecovery"
	case "f2fs":
		fallback = "disable_roll_forward"
	}
	err := mount(d.path, deviceDir, kind, flags, options)
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES) {
		err = mount(d.path, deviceDir, kind, flags, fallback)
	}
	return err
}

// readManifest reads what is to be booted.
func (b *boot) readManifest() error {
	name := filepath.Join(stageDir, "deployments", b.cmd.Deployment+".json")
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading deployment %s: %w", b.cmd.Deployment, err)
	}
	b.manifest, err = deployment.ParseManifest(data, b.cmd.Deployment)
	return err
}
