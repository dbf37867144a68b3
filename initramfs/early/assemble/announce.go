package assemble

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Where people and programs find a device of the device mapper, and where udev keeps what
// it knows of devices: below /run, which the image has from the initramfs.
const (
	mapperDir = "/dev/mapper"
	udevDir   = "/run/udev/data"
)

// Announce makes a device of the device mapper known to the image by its name. udev's
// rules pass over one that was made without udev (55-dm.rules of LVM's), so that what is
// on it would have no links either, nor would LVM's other volumes be activated from it:
// unless udev's own data say that somebody had activated it, as those of a distribution's
// initramfs do. Of any other device nothing need be said.
func Announce(device string) error {
	name, err := os.ReadFile(filepath.Join(classDir, filepath.Base(device), "dm/name"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	major, minor, err := number(filepath.Base(device))
	if err != nil {
		return err
	}
	return announce(mapperDir, udevDir, strings.TrimSpace(string(name)), device, fmt.Sprintf("b%d:%d", major, minor))
}

func announce(mapper, udev, name, device, id string) error {
	link, err := filepath.Rel(mapper, device)
	if err != nil {
		return err
	}
	err = errors.Join(os.MkdirAll(mapper, 0o755), os.MkdirAll(udev, 0o755))
	if err == nil {
		err = os.Symlink(link, filepath.Join(mapper, name))
	}
	return errors.Join(err, os.WriteFile(filepath.Join(udev, id), []byte("E:DM_UDEV_PRIMARY_SOURCE_FLAG=1\n"), 0o644))
}
