package confine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// veil mounts an empty file system over dir, in which only what is to be kept
// below dir is seen again, as it was mounted, and the given links. What is not
// there is left out.
func veil(dir string, keep []string, links map[string]string) error {
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return nil // nothing, or a link to what is hidden by its own name
	}
	var cuttings []cutting
	defer func() {
		for _, c := range cuttings {
			unix.Close(c.fd)
		}
	}()
	for _, path := range keep {
		if !strings.HasPrefix(path, dir+"/") {
			continue
		}
		c, err := cut(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		cuttings = append(cuttings, c)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("gitboot", dir, "tmpfs", flags, "mode=0755,size=1m"); err != nil {
		return &fs.PathError{Op: "mount a tmpfs over", Path: dir, Err: err}
	}
	for _, c := range cuttings {
		if err := c.plant(); err != nil {
			return err
		}
	}
	for path, target := range links {
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	return unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// A cutting is a mount that is nowhere to be seen until it is planted at its
// path.
type cutting struct {
	path   string
	fd     int
	folder bool
}

func cut(path string) (cutting, error) {
	info, err := os.Stat(path)
	if err != nil {
		return cutting{}, err
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return cutting{}, &fs.PathError{Op: "open_tree", Path: path, Err: err}
	}
	return cutting{path, fd, info.IsDir()}, nil
}

func (c cutting) plant() error {
	folder := c.path
	if !c.folder {
		folder = filepath.Dir(c.path)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if !c.folder {
		if err := os.WriteFile(c.path, nil, 0o644); err != nil {
			return err
		}
	}
	if err := unix.MoveMount(c.fd, "", unix.AT_FDCWD, c.path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &fs.PathError{Op: "move_mount", Path: c.path, Err: err}
	}
	return nil
}

// firstUser is the least id of a person, as distributions give them.
const firstUser = 1000

// sockets returns where services of the system listen, as far as they are in this
// network namespace; those of others, such as containers', are not told.
func sockets() (paths []string) {
	list, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(list)) {
		_, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " /")
		var stat unix.Stat_t
		if ok && unix.Lstat("/"+path, &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFSOCK && stat.Uid < firstUser {
			paths = append(paths, "/"+path)
		}
	}
	return paths
}
