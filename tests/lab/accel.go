package lab

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// An Accel is how QEMU runs the machine's processor.
type Accel string

// The ways that machines run.
const (
	TCG Accel = "tcg"
	KVM Accel = "kvm"
)

func (a Accel) args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// Without erms the kernel clears pages in a way that TCG runs faster. A
	// processor with fsrm (QEMU 10's max) and no erms hangs the kernel at
	// "Freeing SMP alternatives memory", so that goes as well.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"}
}

// Accelerator returns KVM if it really works: /dev/kvm may exist and guests
// hang all the same, so a kernel is booted to see. The answer is kept in the
// cache until this computer restarts.
func Accelerator(ctx context.Context) (Accel, error) {
	if _, err := os.Stat("/dev/kvm"); err != nil {
		return TCG, nil
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "accel-"+strings.TrimSpace(string(boot)))
	unlock, err := lock(ctx, filepath.Join(cache, "accel.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if known, err := os.ReadFile(path); err == nil {
		return Accel(known), nil
	}
	accel := TCG
	works, err := kvmWorks(ctx)
	if err != nil {
		return "", fmt.Errorf("try KVM: %w", err)
	}
	if works {
		accel = KVM
	}
	return accel, os.WriteFile(path, []byte(accel), 0o644)
}

// kvmWorks boots the bookworm kernel, without a root file system, until it
// asks for one.
func kvmWorks(ctx context.Context) (bool, error) {
	rootfs, err := RootFS(ctx, Bookworm)
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "gitboot-kvm-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	kernel := filepath.Join(dir, "vmlinuz")
	if err := extractKernel(rootfs, kernel); err != nil {
		return false, err
	}
	vm, err := StartVM(ctx, VMOptions{Kernel: kernel, Append: "console=ttyS0", Accel: KVM, MemoryMB: 512})
	if err != nil {
		return false, err
	}
	// With KVM a kernel needs about a second for this.
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = vm.WaitFor(limited, regexp.MustCompile(`Run /sbin/init|Cannot open root device|Unable to mount root`))
	return err == nil, errors.Join(vm.Stop(), ctx.Err())
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
