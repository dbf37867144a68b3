package initramfs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// storage are the folders whose modules are looked into; taken are those that
// import one of makesDisks and drive a device that announces itself.
var storage = [...]string{
	"kernel/drivers/ata/", "kernel/drivers/scsi/", "kernel/drivers/nvme/host/", "kernel/drivers/block/",
	"kernel/drivers/mmc/", "kernel/drivers/usb/storage/", "kernel/drivers/message/", "kernel/drivers/ufs/",
	"updates/",
}

// makesDisks are the kernel functions by which a driver announces disks or
// the hosts they hang on. dracut chooses block drivers in the same way.
var makesDisks = [...]string{
	"scsi_add_host_with_dma", "scsi_esp_register", "sas_register_ha", "usb_stor_probe1",
	"ata_host_activate", "ata_host_register", "ata_pci_sff_init_one", "ata_pci_bmdma_init_one",
	"ata_pci_sff_activate_host", "ahci_host_activate", "ahci_platform_init_host",
	"blk_mq_alloc_disk", "__blk_mq_alloc_disk", "blk_alloc_disk", "__blk_alloc_disk", "device_add_disk",
	"nvme_init_ctrl", "nvme_add_ctrl", "ufshcd_init", "ufshcd_pltfrm_init",
	"mmc_add_host", "__sdhci_add_host", "sdhci_add_host", "sdhci_pltfm_register", "sdhci_pltfm_init",
	"dw_mci_probe", "dw_mci_pltfm_register", "renesas_sdhi_probe", "tmio_mmc_host_probe", "hisi_sas_probe",
}

// buses are the folders of what disks hang on; all that drives a device is
// taken, but for what is of no use there.
var buses = [...]string{
	"kernel/drivers/usb/host/", "kernel/drivers/virtio/virtio_pci", "kernel/drivers/virtio/virtio_mmio",
	"kernel/drivers/pci/controller/", "kernel/drivers/hv/hv_vmbus", "kernel/drivers/xen/xenbus",
	"kernel/drivers/xen/xen-privcmd",
}

// soc are the folders of what disks and their hosts need where a device tree describes the
// machine: clocks, power and pins, and the chips that have them. Of these, too, all that
// drives a device is taken.
var soc = [...]string{
	"kernel/drivers/bus/", "kernel/drivers/clk/", "kernel/drivers/dma/", "kernel/drivers/extcon/", "kernel/drivers/gpio/",
	"kernel/drivers/hwspinlock/", "kernel/drivers/i2c/busses/", "kernel/drivers/i2c/muxes/", "kernel/drivers/mailbox/", "kernel/drivers/mfd/",
	"kernel/drivers/nvmem/", "kernel/drivers/phy/", "kernel/drivers/pinctrl/", "kernel/drivers/pmdomain/", "kernel/drivers/regulator/",
	"kernel/drivers/reset/", "kernel/drivers/rpmsg/", "kernel/drivers/soc/", "kernel/drivers/spi/", "kernel/drivers/power/supply/axp20x",
	"kernel/drivers/usb/chipidea/", "kernel/drivers/usb/dwc2/", "kernel/drivers/usb/dwc3/", "kernel/drivers/usb/isp1760/", "kernel/drivers/usb/musb/",
	"kernel/drivers/usb/phy/", "kernel/drivers/usb/renesas_usbhs/", "kernel/drivers/usb/typec/tcpm/", "kernel/drivers/usb/misc/onboard_usb_", "kernel/drivers/usb/misc/usb3503",
}

// onX86 is where a kernel has modules that has no use for these: there the firmware sees
// to what they do.
const onX86 = "kernel/arch/x86/"

// unwanted begins the paths of modules whose need makes a driver unfit:
// storage over a network, such as iSCSI and Fibre Channel, and the target side
// of storage.
var unwanted = [...]string{
	"kernel/net/", "kernel/drivers/net/", "kernel/drivers/infiniband/", "kernel/drivers/target/", "kernel/drivers/nvme/target/",
	"kernel/drivers/scsi/libfc/", "kernel/drivers/scsi/fcoe/", "kernel/drivers/scsi/libiscsi", "kernel/drivers/scsi/scsi_transport_iscsi",
	"kernel/drivers/usb/gadget/", "kernel/drivers/media/", "kernel/drivers/gpu/", "kernel/drivers/pcmcia/",
	"kernel/drivers/usb/misc/", "kernel/drivers/usb/host/sl811", // adapters that carry a host of their own
}

// offBoard is what no disk of such a machine needs.
var offBoard = [...]string{
	"kernel/net/", "kernel/drivers/net/", "kernel/drivers/infiniband/", "kernel/drivers/media/", "kernel/drivers/gpu/", "kernel/sound/",
}

// deviceBuses begin the aliases by which devices announce themselves.
var deviceBuses = [...]string{
	"acpi", "ahci", "amba", "hv", "i2c", "mmc", "of", "pci", "platform", "scsi", "spi", "usb", "virtio", "vmbus", "xen", "auxiliary",
}

// softAfter is what hardware needs and no module says: neither uas nor
// mmc_block is announced by a device of its own, and a keyboard is on a bus of its own.
var softAfter = map[string][]string{
	"usbhid":      {"hid_generic"},
	"hid_hyperv":  {"hid_generic"},
	"i8042":       {"atkbd"},
	"usb_storage": {"uas"},
	"mmc_core":    {"mmc_block"},
	"scsi_mod":    {"sd_mod"},
}

// softBefore is what modules ask for by name while they work: file systems their
// code pages, the device mapper its hashes and ciphers.
var softBefore = map[string][]string{
	"vfat":      {"nls_cp437", "nls_iso8859_1", "nls_ascii", "nls_utf8"},
	"dm_verity": {"sha256"},
	"dm_crypt":  {"aes", "xts", "cbc", "ecb", "essiv", "sha256", "xts(aes)", "cbc(aes)"},
}

// choose returns the modules to carry, with all that they need.
func (s *moduleSet) choose(ctx context.Context, version string, all []feature, extra []string) (*closure, error) {
	named, err := s.namedBy(all, version)
	if err != nil {
		return nil, err
	}
	for _, name := range extra {
		if s.byName[name] == nil && !s.builtIn[name] {
			return nil, fmt.Errorf("choosing modules of kernel %s: it has no module %q that was asked for", version, name)
		}
	}
	c, err := s.newClosure(ctx)
	if err != nil {
		return nil, err
	}
	c.named = named
	for _, name := range slices.Concat(named, extra) {
		if err := c.take(name); err != nil {
			return nil, err
		}
	}
	drivers, err := s.drivers(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.takeFit(drivers, unwanted[:]); err != nil {
		return nil, err
	}
	if len(s.below(onX86)) == 0 {
		all = append(slices.Clone(all), feature{drivers: soc[:], unwanted: offBoard[:]})
	}
	for _, f := range all {
		if err := c.takeBelow(ctx, f.drivers, f.unwanted); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// takeBelow takes what drives a device of folders, if it needs nothing unwanted.
func (c *closure) takeBelow(ctx context.Context, folders, unwanted []string) error {
	list := c.set.below(folders...)
	if err := c.set.readAll(ctx, list); err != nil {
		return err
	}
	return c.takeFit(slices.DeleteFunc(list, func(m *module) bool { return !m.drivesDevice() }), unwanted)
}

// takeFit takes those of the drivers that need nothing unwanted.
func (c *closure) takeFit(drivers []*module, unwanted []string) error {
	for _, m := range drivers {
		fit, err := c.fit(m, unwanted)
		if err != nil {
			return err
		}
		if fit {
			if err := c.take(m.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// drivers returns the modules that bring disks.
func (s *moduleSet) drivers(ctx context.Context) ([]*module, error) {
	disks, hosts := s.below(storage[:]...), s.below(buses[:]...)
	if err := s.readAll(ctx, slices.Concat(disks, hosts)); err != nil {
		return nil, err
	}
	var err error
	disks = slices.DeleteFunc(disks, func(m *module) bool {
		if !m.makesDisks() || !m.drivesDevice() {
			return true
		}
		fit, ferr := s.hasFirmware(m)
		err = errors.Join(err, ferr)
		return !fit
	})
	if err != nil {
		return nil, err
	}
	hosts = slices.DeleteFunc(hosts, func(m *module) bool { return !m.drivesDevice() })
	return slices.Concat(disks, hosts), nil
}

func (m *module) makesDisks() bool {
	return slices.ContainsFunc(m.imports, func(s string) bool { return slices.Contains(makesDisks[:], s) })
}

func (m *module) drivesDevice() bool { return slices.ContainsFunc(m.aliases, isDeviceAlias) }

func isDeviceAlias(alias string) bool {
	bus, _, ok := strings.Cut(alias, ":")
	return ok && slices.Contains(deviceBuses[:], strings.TrimSuffix(bus, "*")) // "acpi*:80860F14:*"
}
