// Package initramfs makes the initramfs of an image's own kernel, from the
// image's layers as they lie on the stage. Nothing is mounted or executed, and
// nothing needs to be installed in the image but a kernel and its modules:
//
//	tree, err := rootfs.OpenTree(layers)          // squashfs files, lowest first
//	kernel, err := initramfs.FindKernel(tree, "") // the highest version
//	key, err := initramfs.Key(tree, kernel, o)    // unchanged: keep what you have
//	stats, err := initramfs.Build(ctx, tree, kernel, o, w)
//
// # What is in it
//
// /init is gitboot-init (package early). /lib/modules holds the modules that
// reach a stage on a local disk of any usual machine: NVMe, AHCI and PATA,
// SCSI and RAID controllers, USB storage with its host controllers, SD and
// MMC, virtio, Hyper-V, VMware, Xen; ext4, xfs, btrfs, vfat, f2fs; and loop,
// squashfs and overlay, which every boot needs. Drivers are chosen by the
// kernel functions that they import, dependencies come from the modules
// themselves: depmod's files are not read. Modules are expanded, because not
// every kernel expands them, and otherwise left as they are, with their
// signatures. A list prepared for process 1 is beside them (package modindex).
// A static /bin/busybox of the image is carried for the emergency shell.
//
// The archive is deterministic, and compressed with zstd, or with gzip for a
// kernel that can't unpack that.
//
// # What is not
//
// Firmware, hence drivers that need some; microcode; drivers for a stage on a
// network, Fibre Channel, LVM, RAID or an encrypted disk; keyboards, which
// the emergency shell needs on a machine without a serial or PS/2 console.
// Options.Modules adds modules by name.
package initramfs
