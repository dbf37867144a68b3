package initramfs

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// An archive is a newc cpio (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst): each file once,
// sorted, owned by root, with the date 0 and inodes numbered in order, so that
// equal content makes equal bytes. It is written here because the Go libraries
// for cpio write no device numbers.
type archive struct{ entries map[string]archived }

type archived struct {
	mode         int
	data         []byte
	major, minor int
}

const (
	modeDir  = 0o040000
	modeReg  = 0o100000
	modeLink = 0o120000
	modeChar = 0o020000
)

func newArchive() *archive { return &archive{entries: make(map[string]archived)} }

func (a *archive) dir(name string) {
	if name == "." || a.entries[name].mode != 0 {
		return
	}
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeDir | 0o755}
}

func (a *archive) file(name string, perm int, data []byte) {
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeReg | perm, data: data}
}

func (a *archive) symlink(name, target string) {
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeLink | 0o777, data: []byte(target)}
}

func (a *archive) device(name string, major, minor int) {
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeChar | 0o600, major: major, minor: minor}
}

func (a *archive) write(ctx context.Context, w io.Writer) error {
	for i, name := range slices.Sorted(maps.Keys(a.entries)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.entries[name].write(w, name, i+1); err != nil {
			return err
		}
	}
	return archived{}.write(w, "TRAILER!!!", 0)
}

// write writes header, name and data, each padded to four bytes.
func (e archived) write(w io.Writer, name string, inode int) error {
	links := 1
	if e.mode&modeDir != 0 && e.mode&modeReg == 0 {
		links = 2
	}
	// magic, inode, mode, uid, gid, links, mtime, size, device, device
	// number of the node, length of the name with its zero, checksum
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(name)+1, 0, name)
	for _, b := range [][]byte{[]byte(head), e.data} {
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := w.Write(make([]byte, -len(b)&3)); err != nil {
			return err
		}
	}
	return nil
}
