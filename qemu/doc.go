// Package qemu runs a virtual machine, QEMU's, that boots one kernel from a
// throwaway disk. It knows no stage and no deployment: what lies on the disk,
// and what the kernel is told, is its callers' business.
//
// # What it takes
//
// QEMU for this computer's own kind of processor, and for the disk mke2fs and
// debugfs; Installed says what is missing, and which packages have it. No
// part of it needs root.
//
// A machine may use KVM where that works, and is emulated in software where
// not, which takes ten times as long. Because /dev/kvm may be there while
// guests hang on it, Accelerator boots a kernel to see.
//
// # What it leaves
//
// Nothing: a machine ends when it powers off or restarts, with its context,
// and with the program that started it, whatever happens to that. QEMU may
// start no other programs and gain no rights (its own sandbox). It reaches no
// network unless told to.
package qemu
