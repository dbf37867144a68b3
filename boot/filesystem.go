package boot

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// A Filesystem is where a directory lies, in terms that hold at boot.
type Filesystem struct {
	// Device is the block device now, such as /dev/sda2; empty if the file
	// system is another machine's.
	Device string
	// UUID is the file system's, as blkid prints it.
	UUID string
	// Type is the kernel's name of the file system, such as ext4; empty if it
	// is not known.
	Type string
	// Path is the directory's, absolute from the top of the file system (for
	// btrfs: of its top-level subvolume).
	Path string
	// Assembly is what the file system is on, "" for a plain disk or partition.
	Assembly deployment.Assembly
}

// isUUID knows what file systems have for one.
func isUUID(text string) bool {
	other := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-'
	}
	return len(text) >= 4 && len(text) <= 64 && !strings.ContainsFunc(text, other)
}

// Check refuses a place that no boot loader could be told of.
func (f Filesystem) Check() error {
	switch {
	case !isUUID(f.UUID):
		return fmt.Errorf("the stage's file system has UUID %q, by which a boot loader cannot find it", f.UUID)
	case path.Clean(f.Path) != f.Path || !path.IsAbs(f.Path):
		return fmt.Errorf("the stage's path %q is not clean and absolute", f.Path)
	case strings.ContainsAny(f.Path, `"'\`):
		return errors.New("the stage's path has a quote or backslash in it; move it to a plainer place")
	}
	return checkText("path of the stage", f.Path)
}
