package qemu

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
)

// An Accel is how a machine's processor is run.
type Accel string

// The ways that there are.
const (
	// TCG is QEMU's emulation in software.
	TCG Accel = "tcg"
	// KVM is the processor itself, by the kernel.
	KVM Accel = "kvm"
)

// Args are QEMU's for it, for a machine of x86-64.
func (a Accel) Args() []string {
	if a == KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// Without erms the kernel clears pages in a way that TCG runs faster. A
	// processor with fsrm (QEMU 10's max) and no erms hangs the kernel at
	// "Freeing SMP alternatives memory", so that goes as well.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,-erms,-fsrm"}
}

// kvmTime is how long a kernel may take to find that it has no root file system.
// With KVM it needs about a second.
const kvmTime = 10 * time.Second

// Accelerator returns KVM if it really works: /dev/kvm may exist and guests
// hang all the same, so the kernel is booted to see. A machine of another architecture
// than this computer's, which is what "" means, is emulated. The answer is kept in a
// file, unless that is "", which should not outlast this computer's restart. Without a
// kernel nothing is tried that is not known.
func Accelerator(ctx context.Context, arch, kernel, known string) Accel {
	if arch != "" && arch != runtime.GOARCH || unix.Access("/dev/kvm", unix.R_OK|unix.W_OK) != nil {
		return TCG
	}
	if known != "" {
		if was, err := os.ReadFile(known); err == nil && (Accel(was) == KVM || Accel(was) == TCG) {
			return Accel(was)
		}
	}
	if kernel == "" {
		return TCG
	}
	accel := TCG
	if kvmWorks(ctx, kernel) {
		accel = KVM
	}
	if known != "" && ctx.Err() == nil {
		// Whoever cannot keep the answer finds it out again.
		_ = durable.WriteFile(known, []byte(accel), 0o600)
	}
	return accel
}

// HostKernel is the file of the kernel that this computer runs, "" if it is not found.
func HostKernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	release := unix.ByteSliceToString(name.Release[:])
	for _, file := range []string{"/boot/vmlinuz-" + release, "/usr/lib/modules/" + release + "/vmlinuz"} {
		if unix.Access(file, unix.R_OK) == nil {
			return file
		}
	}
	return ""
}

// noRoot is what a kernel says that has got as far as it can.
var noRoot = []byte("VFS: Unable to mount root fs")

// kvmWorks boots a kernel, without a root file system, until it misses one.
func kvmWorks(ctx context.Context, kernel string) bool {
	limited, cancel := context.WithTimeout(ctx, kvmTime)
	defer cancel()
	var printed bytes.Buffer
	err := Run(limited, Options{
		Kernel: kernel, Args: []string{"console=" + SerialPort(""), "panic=-1"}, Accel: KVM, Memory: 256 << 20, CPUs: 2, Console: &printed,
	})
	return err == nil && bytes.Contains(printed.Bytes(), noRoot)
}
