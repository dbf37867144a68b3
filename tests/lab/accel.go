package lab

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/qemu"
)

// An Accel is how QEMU runs the machine's processor.
type Accel = qemu.Accel

// The ways that machines run.
const (
	TCG = qemu.TCG
	KVM = qemu.KVM
)

// Accelerator returns KVM if it really works. The answer is kept in the cache until
// this computer restarts.
func Accelerator(ctx context.Context) (Accel, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	kernel, err := Kernel(ctx)
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(cache, "accel.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	return qemu.Accelerator(ctx, "", kernel, filepath.Join(cache, "accel-"+strings.TrimSpace(string(boot)))), ctx.Err()
}

// Kernel returns the path of the kernel of the root file system Bookworm.
func Kernel(ctx context.Context) (string, error) {
	rootfs, err := RootFS(ctx, Bookworm)
	if err != nil {
		return "", err
	}
	name := strings.TrimSuffix(filepath.Base(rootfs), ".tar") + ".vmlinuz"
	return cached(ctx, name, func(temp string) error { return extractKernel(rootfs, temp) })
}

// extractKernel copies the first /boot/vmlinuz-* of a root file system's tar.
func extractKernel(rootfs, to string) error {
	f, err := os.Open(rootfs)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			return fmt.Errorf("look for a kernel in %s: %w", rootfs, err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		if !strings.HasPrefix(name, "boot/vmlinuz-") || h.Typeflag != tar.TypeReg {
			continue
		}
		out, err := os.Create(to)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		return errors.Join(err, out.Close())
	}
}
