package diskimage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// raspberryPi makes the partition that a Raspberry Pi's firmware reads, to which the
// reconcile adds what boots.
func (p *preparation) raspberryPi() (string, error) {
	dir := filepath.Join(p.Temp, "esp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	text := ""
	if images := p.wanted.Wants.Images; len(images) > 0 && slices.ContainsFunc(images[0].KernelArgs, onUART) {
		text = "enable_uart=1\n"
	}
	return dir, os.WriteFile(filepath.Join(dir, tryboot.Config), []byte(text), 0o600)
}

// onUART reports whether a kernel argument has a board speak on its serial port, which is
// off on some unless they are told (Raspberry Pi's documentation, configuration/uart.adoc).
func onUART(arg string) bool {
	for _, port := range []string{"serial", "ttyS", "ttyAMA"} {
		if strings.HasPrefix(arg, "console="+port) {
			return true
		}
	}
	return false
}

// addFirmware adds the board's firmware, and device trees, which are the first image's.
func (p *preparation) addFirmware(ctx context.Context, out *Plan) (err error) {
	if len(out.images) == 0 {
		return fmt.Errorf("machine %s has no image that a disk could boot", out.Machine)
	}
	name := out.images[0]
	st, err := stage.Open(p.Config.Stage)
	if err != nil {
		return err
	}
	m, err := st.Deployment(out.Deployments[name])
	if err != nil {
		return err
	}
	tree, err := inventory.OpenTree(st, m.Squashed())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	files, err := boardFiles(tree, m.KernelVersion)
	if err != nil {
		return fmt.Errorf("find in image %s what a Raspberry Pi starts from: %w", name, err)
	}
	left := int64(maxFirmware)
	for to, from := range files {
		n, err := extract(tree, from, filepath.Join(p.folder, to), left)
		if err := errors.Join(context.Cause(ctx), err); err != nil {
			return err
		}
		left -= n
	}
	return p.upstream(files)
}

// upstream has the firmware look for device trees by the names that Linux gives them, if
// these are there, before its own (Raspberry Pi's documentation, config_txt/boot.adoc).
func (p *preparation) upstream(files map[string]string) error {
	if files["bcm2837-rpi-3-b.dtb"] == "" {
		return nil
	}
	config := filepath.Join(p.folder, tryboot.Config)
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	return os.WriteFile(config, append([]byte("upstream_kernel=1\n"), text...), 0o600)
}

// maxFirmware is more than all files for all boards take, in bytes: an image is somebody's.
const maxFirmware = 256 << 20

// firmwareFolders are where packages have what the boards' processors start: Debian's and
// Raspberry Pi OS' raspi-firmware, Ubuntu's linux-firmware-raspi, Alpine's
// raspberrypi-bootloader.
var firmwareFolders = []string{"usr/lib/raspi-firmware", "usr/lib/linux-firmware-raspi", "boot"}

// deviceTrees are where packages of kernels have device trees: Debian's, Ubuntu's, Alpine's
// of all boards (linux-lts), which are called by what the kernel's version ends with, and
// its own for these (linux-rpi).
func deviceTrees(kernel string) []string {
	flavour := kernel[strings.LastIndexByte(kernel, '-')+1:]
	return []string{"usr/lib/linux-image-" + kernel + "/broadcom", "usr/lib/firmware/" + kernel + "/device-tree/broadcom", "boot/dtbs-" + flavour + "/broadcom", "boot"}
}

// boardFiles are the names of files on the partition, and where in an image each is found:
// firmware, device trees for a kernel, and overlays of these.
func boardFiles(tree *rootfs.Tree, kernel string) (map[string]string, error) {
	files := map[string]string{}
	if err := firstOf(tree, firmwareFolders, files, "", "bootcode.bin", "start*.elf", "fixup*.dat"); err != nil {
		return nil, err
	}
	boots := startedBy(files)
	if err := firstOf(tree, deviceTrees(kernel), files, "", "bcm2[78]*.dtb"); err != nil {
		return nil, err
	}
	for to := range files {
		if chip := strings.TrimSuffix(to, ".dtb"); chip != to && boots(chip) {
			return files, overlays(tree, path.Dir(files[to]), files)
		}
	}
	return nil, errors.New("there are none that fit each other: start*.elf and fixup*.dat (or, for models up to 3, bootcode.bin besides) and a device tree, bcm2*.dtb; install Debian's raspi-firmware (of non-free-firmware) or Raspberry Pi OS', Ubuntu's linux-firmware-raspi, or Alpine's raspberrypi-bootloader in the image beside its kernel, or have a hook put these files in /usr/lib/raspi-firmware")
}

// startedBy reports of a chip, by its device tree's name, whether its firmware is there. The
// BCM2712's is on the board.
func startedBy(files map[string]string) func(chip string) bool {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return files[name] == "" })
	}
	return func(chip string) bool {
		switch {
		case strings.HasPrefix(chip, "bcm2712"):
			return true
		case strings.HasPrefix(chip, "bcm2711"):
			return has("start4.elf", "fixup4.dat")
		}
		return has("bootcode.bin", "start.elf", "fixup.dat")
	}
}

// overlays are beside device trees, or one folder up.
func overlays(tree *rootfs.Tree, dir string, files map[string]string) error {
	return firstOf(tree, []string{path.Join(dir, "overlays"), path.Join(path.Dir(dir), "overlays")}, files, "overlays", "*.dtbo", "*.dtb", "overlay_map.dtb", "README")
}

// firstOf adds what the first folder has of patterns that has any.
func firstOf(tree *rootfs.Tree, dirs []string, files map[string]string, to string, patterns ...string) error {
	for _, dir := range dirs {
		names, err := tree.ReadDir(dir)
		if err != nil {
			return err
		}
		found := false
		for _, name := range names {
			for _, pattern := range patterns {
				if match, err := path.Match(pattern, name); err == nil && match {
					files[path.Join(to, name)], found = path.Join(dir, name), true
				}
			}
		}
		if found {
			return nil
		}
	}
	return nil
}

// extract copies a file of an image, if it has no more than so many bytes.
func extract(tree *rootfs.Tree, from, to string, most int64) (n int64, err error) {
	in, err := tree.OpenFile(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return 0, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, io.LimitReader(in, most+1))
	if n > most {
		err = fmt.Errorf("with %s there are more than %d MiB of firmware and device trees", from, maxFirmware>>20)
	}
	return n, errors.Join(err, out.Close())
}
