// Package formerdisk finds what an image says of the disk that it was installed
// on, and takes that out of it.
package formerdisk

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
)

// Version changes when Find finds something else in the
// same image.
const Version = 1

// maxTable bounds the files that are read here.
const maxTable = 1 << 20

// A Disk is what an image says of the disk that it was installed on: a
// machine that waits for that at boot ends in emergency mode.
type Disk struct {
	// Files take the place of the image's, without the lines for what cannot
	// be there.
	Files []kind.File
	// Notes say what was taken out, Warnings what a boot may still wait for.
	Notes, Warnings []string
}

// Find looks into an image's fstab(5), crypttab(5) and the setting
// of initramfs-tools for resuming. A file that a hook writes is no matter of
// the image's any more.
func Find(root layer.View, list []kind.Hook) Disk {
	f := finder{root: root, hooks: list}
	f.fstab()
	f.crypttab()
	f.resume()
	return f.Disk
}

// Key tells what was taken out of an image apart; it is empty for nothing.
func (f Disk) Key() string {
	if len(f.Files) == 0 {
		return ""
	}
	h := sha256.New()
	for _, file := range f.Files {
		fmt.Fprintf(h, "%q %o %d:%d %q\n", file.Path, file.Mode, file.UID, file.GID, file.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// TakeOut puts what Find finds into the layer, but for what a script wrote.
func TakeOut(tree *layer.Tree, root layer.View, list []kind.Hook) error {
	if root == nil {
		return nil
	}
	for _, file := range Find(root, list).Files {
		written, err := tree.Written(file.Path)
		if err == nil && !written {
			err = tree.Files("former disk", []kind.File{file})
		}
		if err != nil {
			return fmt.Errorf("take the image's former disk out of %s: %w", file.Path, err)
		}
	}
	return nil
}

type finder struct {
	Disk
	root  layer.View
	hooks []kind.Hook
	// mappings are the devices of /dev/mapper that something still wants.
	mappings []string
}

// A verdict is what becomes of one line of a table.
type verdict int

const (
	keep verdict = iota
	take
	warn
)

func (f *finder) fstab() {
	const path = "/etc/fstab"
	for _, h := range f.hooks {
		if h.Builtin != nil && h.Builtin.Fstab != nil {
			for _, m := range h.Builtin.Fstab.Mounts {
				f.mappings = append(f.mappings, m.Device)
			}
		}
	}
	f.table(path, func(fields []string) (verdict, string) {
		fields = append(fields, make([]string, 4)...)
		device, point, kind := strings.ReplaceAll(fields[0], `"`, ""), fields[1], fields[2]
		if kind == "swap" {
			point = "swap"
		}
		v := judgeMount(device, point, strings.Split(fields[3], ","))
		if v == warn {
			f.Warnings = append(f.Warnings, fmt.Sprintf("the image's %s makes a boot wait for %s (%s), which nothing here declares: give it nofail in the image, or declare the machine's mounts with an fstab hook", path, device, point))
		}
		if v != take {
			f.mappings = append(f.mappings, device)
		}
		return v, point
	})
}

func judgeMount(device, point string, options []string) verdict {
	switch {
	case point == "/":
		return take // is the layers'
	case slices.Contains(options, "nofail") || slices.Contains(options, "noauto"):
		return keep
	case point == "swap" && !isDisk(device) && !strings.HasPrefix(device, "/dev/"):
		return take // a file of the overlay's, which the kernel refuses
	case !isDisk(device):
		return keep
	case point == "swap" || slices.Contains([]string{"/boot", "/boot/efi", "/boot/firmware", "/efi", "/usr"}, point):
		return take
	}
	return warn
}

// isDisk reports whether a device is one that a machine has or has not.
func isDisk(device string) bool {
	for _, tag := range []string{"UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID="} {
		if strings.HasPrefix(device, tag) {
			return true
		}
	}
	return strings.HasPrefix(device, "/dev/") && !strings.HasPrefix(device, "/dev/zram") && !strings.HasPrefix(device, "/dev/shm")
}

// crypttab keeps what something mounts, and what names no file system of a
// certain disk.
func (f *finder) crypttab() {
	const path = "/etc/crypttab"
	f.table(path, func(fields []string) (verdict, string) {
		fields = append(fields, make([]string, 4)...)
		name, device, options := fields[0], fields[1], strings.Split(fields[3], ",")
		switch {
		case slices.Contains(options, "nofail") || slices.Contains(options, "noauto") || !isDisk(device):
			return keep, name
		case slices.Contains(f.mappings, "/dev/mapper/"+name):
		case strings.HasPrefix(device, "UUID="), strings.HasPrefix(device, "PARTUUID="):
			return take, name
		}
		f.Warnings = append(f.Warnings, fmt.Sprintf("the image's %s makes a boot wait for %s (%s), which nothing here declares: give it nofail in the image, or write the file with a hook", path, device, name))
		return warn, name
	})
}

// table judges each line of a file of fields, and comments out those to be
// taken.
func (f *finder) table(path string, judge func(fields []string) (v verdict, what string)) {
	text, file, ok := f.read(path)
	if !ok {
		return
	}
	var out bytes.Buffer
	var taken []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && !strings.HasPrefix(fields[0], "#") {
			if v, what := judge(fields); v == take {
				taken = append(taken, what)
				out.WriteString("# taken out by gitboot, not on this machine: ")
			}
		}
		out.WriteString(line)
	}
	if len(taken) > 0 {
		file.Content = out.Bytes()
		f.replace(file, strings.Join(taken, ", "))
	}
}

func (f *finder) resume() {
	text, file, ok := f.read("/etc/initramfs-tools/conf.d/resume")
	if !ok {
		return
	}
	for line := range strings.Lines(text) {
		device, found := strings.CutPrefix(strings.TrimSpace(line), "RESUME=")
		if device = strings.Trim(device, `"'`); found && isDisk(device) {
			file.Content = []byte("RESUME=none\n")
			f.replace(file, device)
			return
		}
	}
}

func (f *finder) replace(file kind.File, what string) {
	f.Files = append(f.Files, file)
	f.Notes = append(f.Notes, fmt.Sprintf("the image's %s is of the disk that it was installed on; taken out: %s", file.Path, what))
}

// read returns a file of the image, unless hooks write it.
func (f *finder) read(path string) (text string, file kind.File, ok bool) {
	for i := range f.hooks {
		if h := &f.hooks[i]; slices.Contains(h.Paths(), path) || slices.Contains(h.Removes, path) {
			return "", file, false
		}
	}
	data, err := f.root.ReadFile(path, maxTable)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.Warnings = append(f.Warnings, fmt.Sprintf("the image's %s cannot be read, so that it is left as it is: %v", path, err))
		}
		return "", file, false
	}
	file = kind.File{Path: path, Mode: 0o644}
	if st, err := f.root.Lstat(path); err == nil && st.Mode.IsRegular() {
		file.Mode, file.UID, file.GID = st.Mode.Perm(), st.UID, st.GID
	}
	return string(data), file, true
}
