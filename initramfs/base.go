package initramfs

import (
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs"
)

// base is what every boot needs: layers on a disk, and a root made of them.
func base() feature {
	return feature{
		name:     "a boot from layers",
		required: []string{"loop", "overlay", "squashfs"},
		// File systems that can hold a stage, their code pages, what no alias of a
		// disk would bring, and what keeps the log of a kernel that ends.
		wanted: []string{
			"ext4", "xfs", "btrfs", "vfat", "f2fs",
			"nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8",
			"crc32c_generic", "crc32c_intel", "crc32_generic", "libcrc32c",
			"sd_mod", "uas", "usb_storage", "mmc_block",
			"efi_pstore", "ramoops",
			"usbhid", "hid_generic", "i8042", "atkbd", "hid_hyperv", "hyperv_keyboard", // somebody types here
		},
		options: []string{
			"CONFIG_BLK_DEV_INITRD", "CONFIG_SQUASHFS", "CONFIG_SQUASHFS_ZSTD", "CONFIG_SQUASHFS_XATTR",
			"CONFIG_OVERLAY_FS", "CONFIG_BLK_DEV_LOOP", "CONFIG_TMPFS", "CONFIG_DEVTMPFS",
		},
		add: func(_ *rootfs.Tree, a *archive) error {
			// until devtmpfs is mounted: the kernel opens its console, and a Go
			// program whose standard files are closed opens /dev/null
			a.device("dev/console", 5, 1)
			a.device("dev/null", 1, 3)
			for _, name := range [...]string{"proc", "sys", "run", "root"} {
				a.dir(name)
			}
			return nil
		},
	}
}

// medium is for a stage on a CD, or on a stick that was made of one.
func medium() feature {
	return feature{name: "a stage on a CD", required: []string{"isofs"}, wanted: []string{"cdrom", "sr_mod"}, options: []string{"CONFIG_ISO9660_FS"}}
}

// unlock opens an encrypted disk. Besides the device mapper it takes a TPM, and keyboards
// for who types a passphrase.
func unlock() feature {
	return feature{
		name:     "a stage on an encrypted disk",
		required: []string{"dm_mod", "dm_crypt"},
		wanted: []string{
			"tpm_tis", "tpm_crb",
			"i8042", "atkbd", "usbhid", "hid_generic", "hyperv_keyboard", "virtio_input",
		},
		options: []string{"CONFIG_BLK_DEV_DM", "CONFIG_DM_CRYPT", "CONFIG_CRYPTO_AES"},
	}
}

// verity verifies layers while they are read. It is not carried where no layer is
// verified: the modules would double what a small initramfs has.
func verity() feature {
	return feature{
		name:      `verifying layers (verity = "report" or "enforce")`,
		required:  []string{"dm_mod", "dm_verity"},
		options:   []string{"CONFIG_BLK_DEV_DM", "CONFIG_DM_VERITY"},
		otherwise: `, or declare verity = "off" for it`,
	}
}

// assembles is for a stage on devices of a kind, which are carried for nobody else: what
// drives them is as large as all the rest of a small initramfs.
func assembles(kind string) feature {
	const otherwise = ", or have the stage on a plain disk or partition"
	switch kind {
	case deployment.AssembleLVM:
		return feature{name: "a stage on LVM", required: []string{"dm_mod"}, options: []string{"CONFIG_BLK_DEV_DM"}, otherwise: otherwise}
	case deployment.AssembleLUKS:
		return unlock()
	case deployment.AssembleRAID:
		return feature{name: "a stage on RAID", required: []string{"md_mod", "raid1"}, options: []string{"CONFIG_BLK_DEV_MD", "CONFIG_MD_RAID1"}, otherwise: otherwise}
	}
	return feature{name: "a stage on " + kind, otherwise: otherwise}
}
