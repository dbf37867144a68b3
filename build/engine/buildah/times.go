package buildah

import (
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// contextTime is the time of all files that steps are shown: the first that
// every archive format can hold. What steps leave behind bears the epoch.
var contextTime = time.Date(1980, 1, 2, 0, 0, 0, 0, time.UTC)

// stampContext gives all files of a context one time. buildah since 1.34 hashes
// what a step mounts, times included, and would otherwise run each step with a
// mount again, because a context is written anew for each build.
func stampContext(dir string) error {
	at := unix.NsecToTimespec(contextTime.UnixNano())
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
	})
}
