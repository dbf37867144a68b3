package lab

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Small writes the smallest root file system that one could want, as a tar: one
// program, busybox, which is its init as well, and Debian's kernel with the
// modules that a virtual disk takes. Its init runs start, a script, when it is
// up. With "" there is no init. Of file systems it has the modules of those that a disk
// of ours has by itself, and of those that are named.
func Small(ctx context.Context, path, start string, filesystems ...string) error {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w; install busybox-static", err)
	}
	modules := make([]string, len(filesystems))
	for i, fs := range filesystems {
		modules[i] = "fs/" + fs + "/"
	}
	return small(ctx, path, start, Bookworm, string(busybox), modules)
}

// SmallUSB is Small with the kernel for real hardware, which knows sticks and keyboards.
func SmallUSB(ctx context.Context, path, start string) error {
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w; install busybox-static", err)
	}
	return small(ctx, path, start, BookwormGeneric, string(busybox), []string{
		"drivers/usb/host/xhci-", "drivers/usb/core/", "drivers/usb/common/", "drivers/usb/storage/usb-storage.", "drivers/hid/hid.", "drivers/hid/hid-generic.", "drivers/hid/usbhid/", "drivers/scsi/scsi_mod.", "drivers/scsi/scsi_common.", "drivers/scsi/sd_mod.", "block/t10-pi.",
	})
}

// SmallARM64 is the same for arm64.
func SmallARM64(ctx context.Context, path, start string) error {
	return smallARM64(ctx, path, start, BookwormARM64)
}

// SmallBoard is SmallARM64 with the kernel for boards, and device trees of the Raspberry Pi's.
func SmallBoard(ctx context.Context, path, start string) error {
	return smallARM64(ctx, path, start, GenericARM64, "drivers/mmc/core/", "drivers/mmc/host/bcm2835.", "drivers/mmc/host/sdhci.", "drivers/mmc/host/sdhci-pltfm.", "drivers/mmc/host/sdhci-iproc.", "drivers/mmc/host/cqhci.",
		"drivers/dma/bcm2835", "drivers/mailbox/bcm2835", "drivers/clk/bcm/", "drivers/soc/bcm/", "drivers/firmware/raspberrypi.", "drivers/char/hw_random/")
}

func smallARM64(ctx context.Context, path, start string, kind Kind, modules ...string) error {
	rootfs, err := RootFS(ctx, kind)
	if err != nil {
		return err
	}
	busybox, err := Run(ctx, "tar", "-xOf", rootfs, "./bin/busybox")
	if err != nil {
		return err
	}
	return small(ctx, path, start, kind, busybox, modules)
}

func small(ctx context.Context, path, start string, kind Kind, busybox string, modules []string) error {
	rootfs, err := RootFS(ctx, kind)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	return errors.Join(writeSmall(w, busybox, start), copyKernel(w, rootfs, modules), w.Close(), f.Close())
}

func writeSmall(w *tar.Writer, busybox, start string) error {
	type entry struct {
		tar.Header
		content string
	}
	entries := []entry{
		{tar.Header{Name: "bin/busybox", Mode: 0o755}, busybox},
		{tar.Header{Name: "bin/sh", Typeflag: tar.TypeSymlink, Linkname: "busybox"}, ""},
		{tar.Header{Name: "lib", Typeflag: tar.TypeSymlink, Linkname: "usr/lib"}, ""},
		{tar.Header{Name: "etc/inittab", Mode: 0o644}, "::sysinit:/etc/rc\n"},
		{tar.Header{Name: "etc/rc", Mode: 0o755}, start},
	}
	if start != "" {
		entries = append(entries, entry{tar.Header{Name: "sbin/init", Typeflag: tar.TypeSymlink, Linkname: "../bin/busybox"}, ""})
	}
	for _, e := range entries {
		e.Size = int64(len(e.content))
		if err := w.WriteHeader(&e.Header); err != nil {
			return err
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			return err
		}
	}
	return nil
}

// smallModules are what the small system's kernel needs on a virtual disk and network.
var smallModules = regexp.MustCompile(`/kernel/(drivers/(block|cdrom|virtio)|fs/(ext4|fat|isofs|jbd2|nls|overlayfs|squashfs)|lib|crypto)/|/(mbcache|dax|dm-(mod|bufio|verity|crypt)|md-mod|raid1|virtio_net|net_failover|failover)\.ko`)

// smallKernel says whether the small system has a file of Debian's.
func smallKernel(name string, modules []string) bool {
	switch {
	case strings.HasPrefix(name, "boot/vmlinuz-"), strings.HasPrefix(name, "boot/config-"), strings.Contains(name, "/broadcom/bcm28"):
		return true
	case strings.HasPrefix(name, "usr/lib/modules/"):
		return !strings.HasSuffix(name, ".ko") || smallModules.MatchString(name) || slices.ContainsFunc(modules, func(beginning string) bool { return strings.Contains(name, "/kernel/"+beginning) })
	}
	return false
}

// copyKernel copies a root file system's kernel and few of its modules.
func copyKernel(w *tar.Writer, rootfs string, modules []string) error {
	f, err := os.Open(rootfs)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		hdr, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(hdr.Name, "./")
		if strings.HasPrefix(name, "lib/") { // of what is only unpacked
			name = "usr/" + name
		}
		if !smallKernel(name, modules) {
			continue
		}
		hdr.Name = "./" + name
		if err := w.WriteHeader(hdr); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}
