package lock

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mount is the one that the stage lies on.
type mount struct {
	point string
	flags uintptr
}

func isReadOnly(dir string) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return st.Flags&unix.ST_RDONLY != 0, nil
}

// mountOf finds the mount of dir. The machine's root is refused: it is not
// gitboot's to remount.
func mountOf(dir string) (*mount, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	point, err := mountPoint(dir)
	if err != nil {
		return nil, err
	}
	if point == "/" {
		return nil, fmt.Errorf("the root file system is read-only; remount it, or put the stage on a file system of its own")
	}
	return &mount{point: point, flags: mountFlags(st.Flags)}, nil
}

// writable makes a read-only mount, which holds dir, writable.
func (m *mount) writable(dir string) error {
	if err := unix.Mount("", m.point, "", unix.MS_REMOUNT|m.flags, ""); err != nil {
		return fmt.Errorf("remount %s read-write: %w", m.point, err)
	}
	still, err := isReadOnly(dir)
	if err == nil && still {
		err = fmt.Errorf("%s stays read-only after it was remounted", m.point)
	}
	return err
}

// readOnly undoes what writable did.
func (m *mount) readOnly() error { return ReadOnly(m.point, m.flags) }

// ReadOnly makes a mount read-only, and so its file system, unless others have files of
// that open for writing: a writable layer may lie beside the stage.
func ReadOnly(point string, flags uintptr) error {
	flags |= unix.MS_REMOUNT | unix.MS_RDONLY
	err := unix.Mount("", point, "", flags, "")
	if errors.Is(err, unix.EBUSY) {
		err = unix.Mount("", point, "", flags|unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("remount %s read-only: %w", point, err)
	}
	return nil
}

// mountFlags turns statfs's flags but for read-only into mount's, so that a
// remount keeps them.
func mountFlags(st int64) (flags uintptr) {
	for _, f := range []struct {
		st int64
		ms uintptr
	}{
		{unix.ST_NOSUID, unix.MS_NOSUID},
		{unix.ST_NODEV, unix.MS_NODEV},
		{unix.ST_NOEXEC, unix.MS_NOEXEC},
		{unix.ST_SYNCHRONOUS, unix.MS_SYNCHRONOUS},
		{unix.ST_NOATIME, unix.MS_NOATIME},
		{unix.ST_NODIRATIME, unix.MS_NODIRATIME},
		{unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if st&f.st != 0 {
			flags |= f.ms
		}
	}
	return flags
}

// mountPoint returns where the file system that holds dir is mounted.
func mountPoint(dir string) (string, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	best := ""
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// proc_pid_mountinfo(5): the fifth field is the mount point.
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			continue
		}
		point := unescape(fields[4])
		if below(dir, point) && len(point) >= len(best) {
			best = point
		}
	}
	if best == "" {
		return "", fmt.Errorf("no mount point found above %s", dir)
	}
	return best, lines.Err()
}

func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
