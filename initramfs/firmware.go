package initramfs

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/rootfs"
)

// maxMicrocode is more than all processors' is.
const maxMicrocode = 64 << 20

// A vendor is one of processors: where distributions have its microcode, in files that
// are joined, and what the kernel looks for.
type vendor struct {
	folder, file string
	name         func() *regexp.Regexp
}

var vendors = [...]vendor{
	{"intel-ucode", "GenuineIntel.bin", sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}$`) })},
	{"amd-ucode", "AuthenticAMD.bin", sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^microcode_amd[0-9a-z_]*\.bin$`) })},
}

// firmwareDirs are those of images, the first one found.
var firmwareDirs = [...]string{"usr/lib/firmware", "lib/firmware"}

// microcode is what mends processors: the kernel loads it before it does anything else,
// from an archive that comes before all others and is not compressed (the kernel's
// Documentation/arch/x86/microcode.rst). It is carried where the image has it.
func microcode() feature {
	return feature{name: "microcode", paths: firmwareDirs[:], early: addMicrocode}
}

func addMicrocode(t *rootfs.Tree, a *archive) error {
	for _, v := range vendors {
		data, err := v.joined(t)
		if err != nil {
			return err
		}
		if len(data) > 0 {
			a.file("kernel/x86/microcode/"+v.file, 0o644, data)
		}
	}
	return nil
}

// joined is all of a vendor's microcode, nil if the image has none.
func (v vendor) joined(t *rootfs.Tree) ([]byte, error) {
	for _, dir := range firmwareDirs {
		folder := path.Join(dir, v.folder)
		names, err := t.ReadDir(folder)
		if err != nil {
			return nil, err
		}
		var all bytes.Buffer
		for _, name := range names {
			if !v.name().MatchString(strings.TrimSuffix(strings.TrimSuffix(name, ".xz"), ".zst")) {
				continue
			}
			file := path.Join(folder, name)
			raw, err := t.ReadFile(file, maxMicrocode)
			if err != nil {
				return nil, err
			}
			data, err := expand(name, raw)
			if err != nil {
				return nil, fmt.Errorf("/%s: %w", file, err)
			}
			if all.Write(data); all.Len() > maxMicrocode {
				return nil, fmt.Errorf("/%s: there are more than %d bytes of microcode", folder, maxMicrocode)
			}
		}
		if all.Len() > 0 {
			return all.Bytes(), nil
		}
	}
	return nil, nil
}

// What of the image's firmware is carried, at most.
const (
	maxFirmware      = 64 << 20
	maxFirmwareFiles = 1000
)

// hasFirmware reports whether a driver can do what it does: it names no firmware, or the
// image has some of it. isci names a file that it does without.
func (s *moduleSet) hasFirmware(m *module) (bool, error) {
	for _, name := range m.firmware {
		if n, err := findFirmware(s.tree, name); n != nil || err != nil {
			return err == nil, err
		}
	}
	return len(m.firmware) == 0 || m.name == "isci", nil
}

// findFirmware looks for a file where the kernel does, which expands some of them itself
// (the kernel's Documentation/driver-api/firmware/fw_search_path.rst); nil if it is not
// there. A name that has a pattern in it is none.
func findFirmware(t *rootfs.Tree, name string) (*rootfs.Node, error) {
	if strings.ContainsAny(name, "*?[\\") {
		return nil, nil
	}
	for _, dir := range firmwareDirs {
		for _, ext := range []string{"", ".xz", ".zst"} {
			n, err := t.Lookup(path.Join(dir, path.Clean("/"+name)+ext))
			if err == nil && n.Mode().IsRegular() {
				return n, nil
			}
			if err != nil && !isNotExist(err) {
				return nil, err
			}
		}
	}
	return nil, nil
}

// addFirmware carries what the image has of the firmware that drivers of disks and of
// what they hang on name.
func addFirmware(t *rootfs.Tree, a *archive, modules []*module) error {
	sum, files := 0, 0
	for _, m := range modules {
		if strings.HasPrefix(m.path, "kernel/drivers/net/") { // a recovery entry's: more than all else together
			continue
		}
		for _, name := range m.firmware {
			n, err := findFirmware(t, name)
			if err != nil {
				return err
			}
			to := path.Join("lib/firmware", path.Clean("/"+name))
			if n == nil || a.has(to) {
				continue
			}
			raw, err := t.ReadFile(n.Path, maxFirmware)
			if err != nil {
				return err
			}
			data, err := expand(n.Path, raw)
			if err != nil {
				return fmt.Errorf("/%s: %w", n.Path, err)
			}
			if sum, files = sum+len(data), files+1; sum > maxFirmware || files > maxFirmwareFiles {
				return fmt.Errorf("/%s, for module %s: drivers of disks have more than %d bytes, or %d files, of firmware", n.Path, m.name, maxFirmware, maxFirmwareFiles)
			}
			a.file(to, 0o644, data)
		}
	}
	return nil
}
