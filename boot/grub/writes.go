package grub

import "slices"

// Writes reports whether GRUB can change a file in place on a file system of the
// kernel's name, as save_env does with its environment block. It knows where the
// blocks of a file lie, and cannot where they are checksummed, compressed, or
// made of several devices'.
func Writes(fstype string) bool {
	return slices.Contains([]string{"ext2", "ext3", "ext4", "xfs", "vfat"}, fstype)
}
