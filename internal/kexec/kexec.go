// Package kexec loads a kernel that the running one can start in its own place
// (kexec_file_load(2)), without firmware or boot loader. Who restarts the machine then,
// in the way that asks for it, gets that kernel.
package kexec

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Files of the kernel's: whether loading is switched off until the next boot
// (Documentation/admin-guide/sysctl/kernel.rst), and whether something is loaded.
const (
	disabledFile = "/proc/sys/kernel/kexec_load_disabled"
	loadedFile   = "/sys/kernel/kexec_loaded"
)

// Possible says why the running kernel would load none, as far as that can be seen
// beforehand.
func Possible() error {
	if _, err := os.Stat(loadedFile); err != nil {
		return errors.New("the running kernel is built without kexec (CONFIG_KEXEC_FILE)")
	}
	if reads(disabledFile) == "1" {
		return errors.New("loading another kernel is switched off until the next boot (kernel.kexec_load_disabled)")
	}
	return nil
}

func reads(file string) string {
	data, _ := os.ReadFile(file)
	return string(bytes.TrimSpace(data))
}

// Load loads a kernel with its initramfs, both regular files, and its command line, in
// place of what is loaded.
func Load(kernel, initramfs, cmdline string) error {
	if err := Possible(); err != nil {
		return err
	}
	k, err := os.Open(kernel)
	if err != nil {
		return err
	}
	defer k.Close()
	i, err := os.Open(initramfs)
	if err != nil {
		return err
	}
	defer i.Close()
	return because(unix.KexecFileLoad(int(k.Fd()), int(i.Fd()), cmdline, 0))
}

// because says what the kernel means.
func because(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return errors.New("the running kernel refuses it: it is locked down, or this is not root of the whole machine")
	case errors.Is(err, unix.ENOSYS):
		return errors.New("the running kernel is built without kexec (CONFIG_KEXEC_FILE)")
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.ENOKEY), errors.Is(err, unix.ENODATA), errors.Is(err, unix.EBADMSG):
		return fmt.Errorf("the running kernel does not accept the other's signature: %w", err)
	case errors.Is(err, unix.ENOEXEC):
		return errors.New("the running kernel does not know how to start such a one")
	}
	return fmt.Errorf("the running kernel cannot load it: %w", err)
}

// Loaded reports whether a kernel is loaded.
func Loaded() bool { return reads(loadedFile) == "1" }

// Unload has a restart be an ordinary one again.
func Unload() error {
	if !Loaded() {
		return nil
	}
	return because(unix.KexecFileLoad(-1, -1, "", unix.KEXEC_FILE_UNLOAD))
}
