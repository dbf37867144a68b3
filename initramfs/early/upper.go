package early

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/upper"
)

// A writable is a boot's writable layer.
type writable struct{ *boot }

// prepare mounts what the writable layer is made in, which is memory unless the
// deployment says otherwise, and returns the folders upper and work of overlayfs.
func (b writable) prepare() (dir string, err error) {
	options := "mode=0755"
	if size := b.manifest.Root.TmpfsSize; size != "" {
		options += ",size=" + size
	}
	if err := mount("gitboot", workDir, "tmpfs", 0, options); err != nil {
		return "", err
	}
	u := b.manifest.Root.Upper
	if u == nil {
		return workDir, upper.Make(workDir)
	}
	return upper.Prepare(filepath.Join(deployment.UpperMount, u.Folder(b.manifest.Image)), u.Persistent, b.log.warn)
}

// mount mounts the folder of the disk that holds the writable layer, if there
// is to be one, while drivers can still be loaded.
func (b writable) mount() error {
	u := b.manifest.Root.Upper
	if u == nil {
		return nil
	}
	if err := b.mountOn(u); err != nil {
		return fmt.Errorf("mounting the disk of the writable layer, which is %s: %w", u, err)
	}
	return nil
}

func (b writable) mountOn(u *deployment.Upper) error {
	device, err := b.deviceOf(u)
	if err != nil {
		return err
	}
	const top = deployment.UpperMount + "-device"
	if err := os.MkdirAll(top, 0o755); err != nil {
		return err
	}
	// what programs find there by its other name is no device, and makes nobody root
	if err := device.Mount(top, unix.MS_NODEV|unix.MS_NOSUID); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(top, &st); err != nil || st.Flags&unix.ST_RDONLY != 0 {
		return fmt.Errorf("%s can only be read", device.Path)
	}
	dir := filepath.Join(top, u.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := mount(dir, deployment.UpperMount, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := unix.Unmount(top, unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove(top)
}

// deviceOf finds the disk, with its file system's driver. The stage's own becomes
// writable, where the stage is seen read-only all the same.
func (b writable) deviceOf(u *deployment.Upper) (blockdev.Device, error) {
	if u.Device == "" {
		const flags = unix.MS_NODEV | unix.MS_NOSUID
		if err := unix.Mount("", stageDir, "", unix.MS_REMOUNT|flags, ""); err != nil {
			return b.device, fmt.Errorf("making the stage's file system writable: %w", err)
		}
		return b.device, unix.Mount("", stageDir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, "")
	}
	return b.devices.findMountable("the writable layer's device", u.Device)
}
