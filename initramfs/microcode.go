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
	f := feature{name: "microcode", early: addMicrocode}
	for _, dir := range firmwareDirs {
		for _, v := range vendors {
			f.paths = append(f.paths, path.Join(dir, v.folder))
		}
	}
	return f
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
