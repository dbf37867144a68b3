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
	size         int64
	content      func(io.Writer) error // nil if there is none
	major, minor int
}

// held is content that is in memory.
func held(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
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
	a.stream(name, perm, int64(len(data)), held(data))
}

func (a *archive) has(name string) bool { return a.entries[name].mode != 0 }

// stream adds a file whose content is only fetched when it is written.
func (a *archive) stream(name string, perm int, size int64, content func(io.Writer) error) {
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeReg | perm, size: size, content: content}
}

func (a *archive) symlink(name, target string) {
	a.dir(path.Dir(name))
	a.entries[name] = archived{mode: modeLink | 0o777, size: int64(len(target)), content: held([]byte(target))}
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

// write writes header, name and content, each padded to four bytes.
func (e archived) write(w io.Writer, name string, inode int) error {
	links := 1
	if e.mode&modeDir != 0 && e.mode&modeReg == 0 {
		links = 2
	}
	// magic, inode, mode, uid, gid, links, mtime, size, device, device
	// number of the node, length of the name with its zero, checksum
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		inode, e.mode, 0, 0, links, 0, e.size, 0, 0, e.major, e.minor, len(name)+1, 0, name)
	if err := padded(w, int64(len(head)), held([]byte(head))); err != nil || e.content == nil {
		return err
	}
	if err := padded(w, e.size, e.content); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// padded writes content, which must have the size that it is said to have: a
// header went before it that cannot be taken back.
func padded(w io.Writer, size int64, content func(io.Writer) error) error {
	count := &counter{w: w}
	if err := content(count); err != nil {
		return err
	}
	if count.n != size {
		return fmt.Errorf("%d bytes where %d were announced", count.n, size)
	}
	_, err := w.Write(make([]byte, -size&3))
	return err
}
