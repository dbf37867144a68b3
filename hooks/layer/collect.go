package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Collect puts what scripts wrote below out into the tree. Links are taken as
// they are and never followed.
func (t *Tree) Collect(ctx context.Context, hook, out string) error {
	asRoot := os.Geteuid() == 0
	return filepath.WalkDir(out, func(p string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("collect what the scripts wrote: %w", err)
		}
		if p == out {
			return nil
		}
		name := strings.TrimPrefix(p, out)
		n, err := readNode(p, d, asRoot)
		if err != nil {
			return fmt.Errorf("$GITBOOT_OUT%s: %w", name, err)
		}
		n.From = hook
		switch {
		case n.Mode == fs.ModeDir|0o755 && n.UID == 0 && n.GID == 0:
			_, err = t.Lead(name, hook)
		case n.Mode.IsDir():
			err = t.AddDir(name, n)
		default:
			err = t.Add(name, n)
		}
		return err
	})
}

func readNode(p string, d fs.DirEntry, asRoot bool) (*Node, error) {
	info, err := d.Info()
	if err != nil {
		return nil, err
	}
	n := &Node{Mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && asRoot {
		n.UID, n.GID = int(st.Uid), int(st.Gid)
	}
	switch info.Mode().Type() {
	case fs.ModeDir, fs.ModeNamedPipe:
		return n, nil
	case fs.ModeSymlink:
		n.Link, err = os.Readlink(p)
		return n, errors.Join(err, checkTarget(p, n.Link))
	case 0:
		n.disk, n.size = p, info.Size()
		n.xattrs, err = readXattrs(p)
		return n, err
	}
	return nil, fmt.Errorf("%s cannot be in a layer; remove it in the script", info.Mode().Type())
}

// readXattrs returns the attributes of a file that a layer carries.
func readXattrs(p string) (map[string]string, error) {
	buf := make([]byte, 1<<16) // the limits of Linux, for names and for a value
	n, err := unix.Llistxattr(p, buf)
	if err != nil || n == 0 {
		if errors.Is(err, unix.ENOTSUP) {
			err = nil
		}
		return nil, err
	}
	xattrs := make(map[string]string)
	for name := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if name != "security.capability" && !strings.HasPrefix(name, "user.") {
			continue
		}
		n, err := unix.Lgetxattr(p, name, buf)
		if err != nil {
			return nil, fmt.Errorf("read attribute %s: %w", name, err)
		}
		xattrs[name] = string(buf[:n])
	}
	return xattrs, nil
}
