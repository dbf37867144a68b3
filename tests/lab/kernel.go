package lab

import (
	"encoding/binary"
	"os"
	"path/filepath"
)

// FakeKernel puts into the root file system dir what gitboot needs of one that boots,
// short of a machine that runs it: a kernel with the x86 boot header (the kernel's
// Documentation/arch/x86/boot.rst), its modules' folder, the list of what it has
// built in, and an init.
func FakeKernel(dir, version string, modules bool) error {
	const magic, pointer, text = 0x202, 0x20e, 0x300
	kernel := make([]byte, 0x400)
	copy(kernel[magic:], "HdrS")
	binary.LittleEndian.PutUint16(kernel[pointer:], text-0x200)
	copy(kernel[text:], version+" (gitboot's test)")
	files := map[string][]byte{"boot/vmlinuz-" + version: kernel, "sbin/init": []byte("#!/bin/sh\n")}
	if modules {
		files["lib/modules/"+version+"/modules.builtin"] = []byte(
			"kernel/drivers/block/loop.ko\nkernel/fs/overlayfs/overlay.ko\nkernel/fs/squashfs/squashfs.ko\nkernel/fs/isofs/isofs.ko\n")
	}
	for path, data := range files {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o755); err != nil {
			return err
		}
	}
	return nil
}
