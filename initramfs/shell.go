package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"io/fs"

	"github.com/gitboot/gitboot/rootfs"
)

const busyboxPath = "bin/busybox"

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// shell is for who sits at a machine that does not boot.
func shell() feature {
	return feature{name: "the emergency shell", paths: []string{busyboxPath}, add: addShell}
}

// addShell carries the image's busybox for the emergency shell, if it has one
// that runs without libraries.
func addShell(t *rootfs.Tree, a *archive) error {
	n, err := t.Lookup(busyboxPath)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !n.Mode().IsRegular() {
		return nil
	}
	data, err := t.Read(n)
	if err != nil {
		return err
	}
	if isStatic(bytes.NewReader(data)) {
		a.file(busyboxPath, 0o755, data)
		a.symlink("bin/sh", "busybox")
	}
	return nil
}

func isStatic(program io.ReaderAt) bool {
	f, err := elf.NewFile(program)
	if err != nil || f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return false
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}
