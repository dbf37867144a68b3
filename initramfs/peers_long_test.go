//go:build long

package initramfs_test

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/initramfs"
	"github.com/gitboot/gitboot/initramfs/modindex"
	"github.com/gitboot/gitboot/rootfs"
)

// explained are the folders, and the files, of modules that others carry and gitboot does
// not, and why. docs/design.md tells of each reason.
var explained = map[string][]string{
	"file systems": {"kernel/fs/"},
	"no firmware":  {"scsi/advansys", "scsi/aic94xx/", "scsi/bfa/", "scsi/csiostor/", "scsi/qla1280", "scsi/qla2xxx/qla2xxx", "scsi/wd719x", "usb/storage/ums-eneub6250"},
	"over a network": {
		"block/aoe/", "block/drbd/", "block/nbd", "block/rbd", "infiniband/", "nvme/host/nvme-f", "nvme/host/nvme-rdma", "nvme/host/nvme-tcp",
		"scsi/be2iscsi/", "scsi/bnx2", "scsi/cxgbi/", "scsi/fcoe/", "scsi/fnic/", "scsi/iscsi_", "scsi/libfc/", "scsi/libiscsi", "scsi/lpfc/", "scsi/qed", "scsi/qla4xxx/",
		"scsi/scsi_transport_", "bus/mhi/",
	},
	"targets and tests": {"nvme/target/", "target/", "scsi/qla2xxx/tcm", "scsi/scsi_debug", "block/null_blk/", "block/xen-blkback/", "block/brd", "block/zram/"},
	"no disks":          {"scsi/ch.", "scsi/ses.", "scsi/sg.", "scsi/st.", "mtd/", "mmc/core/sdio_uart", "net/", "usb/image/", "usb/misc/", "md/dm-multipath", "scsi/device_handler/"},
	"nothing announces": {"ata/pata_legacy", "scsi/qlogicfas408", "input/serio/", "firewire/", "mmc/host/tifm_sd", "mmc/host/sdricoh_cs", "staging/", "pcmcia/", "ata/pata_pcmcia", "scsi/pcmcia/", "usb/host/u132-hcd", "i2c/busses/i2c-taos", "spi/spi-butterfly", "spi/spi-lm70llp"},
	"other than keyboards": {
		"input/mouse/", "input/keyboard/", "hid/", "tty/", "platform/chrome/", "usb/typec/",
	},
	"libraries of what is not taken": {"soc/fsl/dpio/", "soc/qcom/mdt_loader", "soc/qcom/qmi_helpers"},
	"not for disks":                  {"watchdog/", "hwmon/", "devfreq/", "crypto/", "kernel/crypto/", "kernel/arch/", "kernel/lib/", "rtc/", "memory/", "power/supply/", "kernel/net/"},
}

// elsewhere are those that others carry on each architecture, and gitboot where a device
// tree describes the machine.
var elsewhere = []string{"bus/", "clk/", "dma/", "extcon/", "gpio/", "hwspinlock/", "i2c/", "mailbox/", "mfd/", "nvmem/", "phy/", "pinctrl/", "regulator/", "reset/", "rpmsg/", "soc/", "spi/", "usb/"}

func (k debianKernel) explained(module string) bool {
	below := func(prefix string) bool {
		return strings.HasPrefix(k.modules[module], prefix) || strings.HasPrefix(k.modules[module], "kernel/drivers/"+prefix)
	}
	for _, list := range explained {
		if slices.ContainsFunc(list, below) {
			return true
		}
	}
	return k.arch == "amd64" && slices.ContainsFunc(elsewhere, below)
}

// What others carry for disks, USB, MMC and keyboards, on any machine, gitboot's
// initramfs has, too, or docs/design.md says why not.
func TestLongPeers(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			k := newKernel(t, arch)
			own := k.own(t)
			for _, name := range []string{"usbhid", "hid_generic"} {
				if k.modules[name] == "" || !own[name] {
					t.Errorf("%s is not there: nobody could type", name)
				}
			}
			for name, list := range map[string]map[string]bool{"initramfs-tools": k.initramfsTools(t), "dracut": k.dracut(t)} {
				var lacks []string
				for module := range list {
					if !own[module] && !k.explained(module) {
						lacks = append(lacks, k.modules[module])
					}
				}
				slices.Sort(lacks)
				t.Logf("%s has %d, gitboot %d", name, len(list), len(own))
				if len(lacks) > 0 {
					t.Errorf("%s has besides, and nothing says why:\n%s", name, strings.Join(lacks, "\n"))
				}
			}
		})
	}
}

// A debianKernel is one with its modules' paths, by name.
type debianKernel struct {
	arch, dir string
	modules   map[string]string
}

func newKernel(t *testing.T, arch string) debianKernel {
	t.Helper()
	name := "linux-image-" + arch
	if arch != runtime.GOARCH {
		name += ":" + arch
	}
	k := debianKernel{arch: arch, dir: debianPackage(t, name), modules: map[string]string{}}
	all, err := filepath.Glob(filepath.Join(k.dir, "lib/modules/*"))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	err = filepath.WalkDir(all[0], func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".ko") {
			below, _ := filepath.Rel(all[0], path)
			k.modules[modindex.Name(path)] = below
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// own are the modules of gitboot's initramfs.
func (k debianKernel) own(t *testing.T) map[string]bool {
	t.Helper()
	layer := filepath.Join(t.TempDir(), "layer")
	squashDir(t, layer, k.dir)
	tree, err := rootfs.OpenTree([]string{layer})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	packed, stats, err := build(t, tree, initramfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "-i", "--quiet", "--to-stdout", "gitboot-modules")
	cmd.Stdin = bytes.NewReader(unzstd(t, packed))
	t.Logf("%d modules, %d bytes", stats.Modules, stats.Bytes)
	x, err := modindex.Parse(run(t, cmd))
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, m := range x.Modules {
		have[modindex.Name(m.Path)] = true
	}
	return have
}

// below are the modules in a folder of the kernel's, but for some.
func (k debianKernel) below(into map[string]bool, folder string, but ...string) {
	for name, path := range k.modules {
		rest, ok := strings.CutPrefix(path, folder+"/")
		if ok && !slices.ContainsFunc(but, func(glob string) bool {
			match, _ := filepath.Match(strings.TrimSuffix(glob, ".ko"), strings.TrimSuffix(filepath.Base(rest), ".ko"))
			return match
		}) {
			into[name] = true
		}
	}
}

func (k debianKernel) named(into map[string]bool, names ...string) {
	for _, name := range names {
		if name = modindex.Name(name); k.modules[name] != "" {
			into[name] = true
		}
	}
}

// initramfsTools are the modules that auto_add_modules adds of the kinds that concern
// the root's disk and keyboards (MODULES=most).
func (k debianKernel) initramfsTools(t *testing.T) map[string]bool {
	t.Helper()
	text := read(t, filepath.Join(debianPackage(t, "initramfs-tools-core"), "usr/share/initramfs-tools/hook-functions"))
	_, text, _ = strings.Cut(text, "\nauto_add_modules()")
	text, _, _ = strings.Cut(text, "\n}\n")
	text = strings.ReplaceAll(text, "\\\n", " ")
	list, kind := map[string]bool{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := regexp.MustCompile(`^([a-z_]+)\)$`).FindStringSubmatch(line); m != nil {
			kind = m[1]
		}
		if !slices.Contains([]string{"base", "scsi", "block", "ata", "mmc", "usb_storage", "firewire"}, kind) {
			continue
		}
		words := strings.Fields(strings.ReplaceAll(line, "'", ""))
		if names, ok := strings.CutPrefix(line, `modules="$modules `); ok {
			k.named(list, strings.Fields(strings.TrimSuffix(names, `"`))...)
		} else if len(words) > 1 && words[0] == "copy_modules_dir" {
			k.below(list, words[1], words[2:]...)
		}
	}
	if len(list) < 100 {
		t.Fatalf("of initramfs-tools %d modules were found", len(list))
	}
	return list
}

// dracut are the modules of its module kernel-modules, for any machine.
func (k debianKernel) dracut(t *testing.T) map[string]bool {
	t.Helper()
	text := read(t, filepath.Join(debianPackage(t, "dracut-core"), "usr/lib/dracut/modules.d/90kernel-modules/module-setup.sh"))
	symbols := regexp.MustCompile(`_blockfuncs='([^']*)'`).FindStringSubmatch(text)[1]
	text = strings.ReplaceAll(text, "\\\n", " ")
	list := map[string]bool{}
	arm := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		arm = (arm || strings.Contains(line, "aarch64")) && line != "fi"
		if arm && k.arch != "arm64" {
			continue
		}
		if more := regexp.MustCompile(`_blockfuncs\+='([^']*)'`).FindStringSubmatch(line); more != nil {
			symbols += more[1]
		}
		_, words, ok := strings.Cut(line, "instmods ")
		if !ok || strings.Contains(line, "dracut_instmods") || strings.Contains(line, "{_") {
			continue
		}
		for _, word := range strings.Fields(words) {
			word = strings.Trim(word, `"`)
			if folder, ok := strings.CutPrefix(word, "="); ok {
				k.below(list, "kernel/"+folder)
			} else {
				k.named(list, word)
			}
		}
	}
	functions := regexp.MustCompile("^(" + symbols + ")$")
	for name, path := range k.modules {
		if strings.HasPrefix(path, "kernel/drivers/") && k.imports(t, path, functions) {
			list[name] = true
		}
	}
	if len(list) < 100 {
		t.Fatalf("of dracut %d modules were found", len(list))
	}
	return list
}

// imports reports whether a module imports one of these functions.
func (k debianKernel) imports(t *testing.T, path string, functions *regexp.Regexp) bool {
	t.Helper()
	file, err := filepath.Glob(filepath.Join(k.dir, "lib/modules/*", path))
	if err != nil || len(file) != 1 {
		t.Fatal(file, err)
	}
	f, err := os.Open(file[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	module, err := elf.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := module.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Section == elf.SHN_UNDEF && functions.MatchString(s.Name) })
}
