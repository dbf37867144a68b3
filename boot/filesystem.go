package boot

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"
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
}

var uuidForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9A-Za-z-]{4,64}$`) })

// Check refuses a place that no boot loader could be told of.
func (f Filesystem) Check() error {
	switch {
	case !uuidForm().MatchString(f.UUID):
		return fmt.Errorf("the stage's file system has UUID %q, by which a boot loader cannot find it", f.UUID)
	case path.Clean(f.Path) != f.Path || !path.IsAbs(f.Path):
		return fmt.Errorf("the stage's path %q is not clean and absolute", f.Path)
	case strings.ContainsAny(f.Path, `"'\`):
		return errors.New("the stage's path has a quote or backslash in it; move it to a plainer place")
	}
	return checkText("path of the stage", f.Path)
}
