package device

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// A Known is a disk as the kernel lists it.
type Known struct {
	Path, Model, Serial string
	Size                int64
}

// Words are one line of a list.
func (k Known) Words() string {
	words := []string{k.Path + ": " + progress.Bytes(k.Size)}
	for _, w := range []string{k.Model, k.Serial} {
		if w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, ", ")
}

// List is all disks that can be written to, sorted by name: none that is a file's, in
// memory, or made of others.
func List() ([]Known, error) {
	const sys = "/sys/class/block"
	names, err := os.ReadDir(sys)
	if err != nil {
		return nil, fmt.Errorf("list this computer's disks: %w", err)
	}
	var all []Known
	for _, n := range names {
		dir := filepath.Join(sys, n.Name())
		if _, err := os.Stat(filepath.Join(dir, "device")); err != nil || !isZero(dir, "ro") {
			continue // what is virtual has no device
		}
		sectors, err := strconv.ParseInt(attribute(dir, "size"), 10, 54)
		if err != nil || sectors == 0 {
			continue
		}
		k := Known{Path: "/dev/" + strings.ReplaceAll(n.Name(), "!", "/"), Size: sectors * 512}
		k.Model, k.Serial = identity(dir)
		all = append(all, k)
	}
	return all, nil
}

// isZero reports whether a number is there, and is none.
func isZero(dir, name string) bool { return attribute(dir, name) == "0" }

// attribute is what the kernel knows, in one line.
func attribute(dir, name string) string {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return plain.Line(strings.TrimSpace(string(text)))
}

// identity is what a disk says of itself. Of SCSI's its serial number is in a page of
// its own (SPC-4, section 7.8.17), of virtio's it is the disk's and not the device's.
func identity(dir string) (model, serial string) {
	model = attribute(dir, "device/model")
	for _, name := range []string{"device/serial", "serial"} {
		if serial = attribute(dir, name); serial != "" {
			return model, serial
		}
	}
	if page, err := os.ReadFile(filepath.Join(dir, "device/vpd_pg80")); err == nil && len(page) > 4 {
		serial = plain.Line(strings.TrimSpace(string(page[4:])))
	}
	return model, serial
}

// Choose finds the one disk that a machine's declaration means.
func Choose(declared layout.Disk, all []Known) (path string, err error) {
	if declared.Device != "" {
		return declared.Device, nil
	}
	what, fits := meant(declared)
	if fits == nil {
		return "", &ChoiceError{"which disk is not said", all}
	}
	var found []Known
	for _, k := range all {
		if fits(k) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return "", &ChoiceError{fmt.Sprintf("%d disks have %s", len(found), what), all}
	}
	return found[0].Path, nil
}

// meant says which disks are meant, nil if it is not declared.
func meant(declared layout.Disk) (what string, fits func(Known) bool) {
	switch {
	case declared.Serial != "":
		return "the serial number " + declared.Serial, func(k Known) bool {
			ok, err := path.Match(declared.Serial, k.Serial)
			return err == nil && ok && k.Serial != ""
		}
	case declared.Size != "":
		return "a size of " + declared.Size, func(k Known) bool { return layout.Bound(declared.Size).Holds(k.Size) }
	}
	return "", nil
}

// A ChoiceError says that it is not clear which disk is meant.
type ChoiceError struct {
	Why string
	All []Known
}

func (e *ChoiceError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; name the disk, of those that are here:", e.Why)
	if len(e.All) == 0 {
		b.WriteString(" none")
	}
	for _, k := range e.All {
		b.WriteString("\n  " + k.Words())
	}
	return b.String()
}
