package unattended

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/initramfs/early/probe"
)

// seedLabel is how a file system is called that has a NoCloud seed, in capitals or not
// (cloud-init, datasources: NoCloud).
const seedLabel = "cidata"

// seed reads user-data of the first file system with a seed, "" if there is none.
func seed() (device string, data []byte, err error) {
	names, err := os.ReadDir("/sys/class/block")
	if err != nil {
		return "", nil, err
	}
	for _, n := range names {
		if strings.HasPrefix(n.Name(), "loop") || strings.HasPrefix(n.Name(), "ram") {
			continue
		}
		device := "/dev/" + strings.ReplaceAll(n.Name(), "!", "/")
		if fs, ok := identify(device); ok && strings.EqualFold(fs.Label, seedLabel) && (fs.Type == "vfat" || fs.Type == "iso9660") {
			data, err := readMounted(device, fs.Type)
			return device, data, err
		}
	}
	return "", nil, nil
}

func identify(device string) (fs probe.Filesystem, ok bool) {
	f, err := os.Open(device)
	if err != nil {
		return fs, false
	}
	defer f.Close()
	return probe.Identify(f)
}

// readMounted mounts a file system for as long as its user-data is read.
func readMounted(device, kind string) (data []byte, err error) {
	dir, err := os.MkdirTemp("", "gitboot-seed-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := unix.Mount(device, dir, kind, unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount it as %s: %w", kind, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	return ReadFile(filepath.Join(dir, "user-data"))
}
