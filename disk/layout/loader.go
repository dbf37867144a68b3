package layout

import "fmt"

// The boot loaders of the disks that gitboot makes.
const (
	Loader      = "grub" // the usual one
	SystemdBoot = "systemd-boot"
	Extlinux    = "extlinux"
	RaspberryPi = "rpi"
)

// starts says who starts a boot loader from the EFI system partition.
func starts(loader string) string {
	return map[string]string{SystemdBoot: "UEFI starts", Extlinux: "U-Boot reads", RaspberryPi: "a Raspberry Pi's firmware reads"}[loader]
}

// CheckLoader refuses a machine whose disk cannot have the boot loader that is declared,
// "" for the usual one, or not with these partitions.
func CheckLoader(declared string, partitions []Partition) error {
	if declared == "" || declared == Loader {
		return nil
	}
	by := starts(declared)
	has := map[string]bool{}
	for _, p := range partitions {
		has[p.Role] = true
	}
	switch {
	case !has[ESP]:
		return fmt.Errorf("boot.loader is %q, which %s from a partition that there is not; add { role = %q } to the disk's partitions", declared, by, ESP)
	case has[Boot]:
		return fmt.Errorf("boot.loader is %q, and a partition with the role %q is for GRUB's files; leave that out, and give the partition with the role %q a size with room for kernels", declared, Boot, ESP)
	}
	return nil
}
