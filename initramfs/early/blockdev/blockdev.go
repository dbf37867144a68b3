// Package blockdev finds block devices by what is on them, and mounts them.
package blockdev

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/initramfs/early/probe"
)

// A Device is a block device that holds a known file system.
type Device struct {
	Path string
	FS   probe.Filesystem
}

// A Search compares block devices with the one that is wanted.
type Search struct {
	want string
	seen map[string]Device // by name; looked at already
}

// Find begins a search for UUID=…, LABEL=…, PARTUUID=… or a path below /dev.
func Find(want string) *Search { return &Search{want: want, seen: make(map[string]Device)} }

// Names are those of all block devices there are.
func Names() (names []string) {
	entries, _ := os.ReadDir("/sys/class/block")
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// All looks at every block device there is.
func (s *Search) All() (Device, bool) {
	for _, name := range Names() {
		if d, ok := s.Look(name); ok {
			return d, true
		}
	}
	return Device{}, false
}

// Look reads one device's superblock and says whether it is the one.
func (s *Search) Look(name string) (Device, bool) {
	if Skip(name, s.want) {
		return Device{}, false
	}
	d := Device{Path: "/dev/" + strings.ReplaceAll(name, "!", "/")}
	f, err := os.Open(d.Path)
	if err != nil {
		return d, false
	}
	defer f.Close()
	var ok bool
	if d.FS, ok = probe.Identify(f); !ok {
		return d, false
	}
	s.seen[name] = d
	if d.FS.Type == probe.Encrypted && held(name) {
		return d, false // it is half of a mirror, or open already
	}
	return d, s.is(name, d)
}

// held reports whether a device is a part of another.
func held(name string) bool {
	holders, _ := os.ReadDir("/sys/class/block/" + name + "/holders")
	return len(holders) > 0
}

// Skip leaves out what never holds what is wanted and may be slow to read: CDs hold
// nothing but what has a time in place of a UUID.
func Skip(name, want string) bool {
	prefixes := []string{"loop", "ram", "zram", "fd", "nbd", "mtdblock"}
	if len(want) != len("UUID=2006-01-02-15-04-05-00") {
		prefixes = append(prefixes, "sr")
	}
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return true
		}
	}
	return false
}

func (s *Search) is(name string, d Device) bool {
	key, value, tag := strings.Cut(s.want, "=")
	switch {
	case !tag:
		return s.want == d.Path
	case key == "UUID":
		return strings.EqualFold(value, d.FS.UUID)
	case key == "LABEL":
		return value == d.FS.Label
	case key == "PARTUUID":
		return strings.EqualFold(value, partUUID(name))
	}
	return false
}

// partUUID takes a partition's UUID from the kernel, which tells it since
// 6.13, or else from the disk's table.
func partUUID(name string) string {
	dir, err := filepath.EvalSymlinks("/sys/class/block/" + name)
	if err != nil {
		return ""
	}
	text, _ := os.ReadFile(dir + "/uevent")
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "PARTUUID="); ok {
			return id
		}
	}
	number, ok := readInt(dir + "/partition")
	if !ok {
		return ""
	}
	disk, err := os.Open("/dev/" + strings.ReplaceAll(filepath.Base(filepath.Dir(dir)), "!", "/"))
	if err != nil {
		return ""
	}
	defer disk.Close()
	sector, _ := readInt(filepath.Dir(dir) + "/queue/logical_block_size")
	return probe.PartUUID(disk, int64(sector), number)
}

func readInt(name string) (int, bool) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}

// Summary lists the file systems that were seen.
func (s *Search) Summary() string {
	var out []string
	for _, name := range Names() {
		if Skip(name, s.want) {
			continue
		}
		word := name
		if d, ok := s.seen[name]; ok {
			word += " (" + d.FS.Type + " UUID=" + d.FS.UUID + " LABEL=" + d.FS.Label + ")"
		}
		out = append(out, word)
	}
	if len(out) == 0 {
		return "no block device at all: the initramfs may lack its driver"
	}
	return strings.Join(out, ", ")
}
