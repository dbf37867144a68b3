package initramfs

import (
	"bytes"
	"debug/elf"
	"errors"
	"io/fs"
)

const busyboxPath = "bin/busybox"

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// addShell carries the image's busybox for the emergency shell, if it has one
// that runs without libraries.
func (t *Tree) addShell(a *archive) error {
	n, err := t.lookup(busyboxPath)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if !n.mode().IsRegular() {
		return nil
	}
	data, err := t.read(n)
	if err != nil {
		return err
	}
	if isStatic(data) {
		a.file(busyboxPath, 0o755, data)
		a.symlink("bin/sh", "busybox")
	}
	return nil
}

func isStatic(program []byte) bool {
	f, err := elf.NewFile(bytes.NewReader(program))
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
