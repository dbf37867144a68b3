// Package layout turns what a config repo declares of a machine's disk, and the
// size of one, into partitions: where each begins and ends, what it is, and by which
// names it is found. The same declaration and size give the same partitions, so that
// who checks, who shows and who writes speak of one thing.
//
// The table is a GPT (UEFI specification 2.10, section 5.3), in sectors of 512
// bytes; partitions begin and end at whole MiB. Types are those of the Discoverable
// Partitions Specification, where it has any.
package layout

import (
	"fmt"
	"strings"
)

// What a partition is for.
const (
	BIOS  = "bios"  // GRUB's core, which the BIOS' boot sector loads
	ESP   = "esp"   // what UEFI reads
	Boot  = "boot"  // GRUB's own files, if they are not to lie beside the stage
	Stage = "stage" // the stage
	Data  = "data"
	Swap  = "swap"
)

// Roles are all of these.
func Roles() []string { return []string{BIOS, ESP, Boot, Stage, Data, Swap} }

// Ext4 is the file system that partitions have if nothing else is said, and FAT that
// of the ESP.
const (
	Ext4  = "ext4"
	XFS   = "xfs"
	Btrfs = "btrfs"
	FAT   = "vfat"
)

// Filesystems are those that can be declared.
func Filesystems() []string { return []string{Ext4, XFS, Btrfs} }

// TypeESP is an EFI system partition's type in a table.
const TypeESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

const (
	mib = 1 << 20
	// Table is what the partition table takes at each end of a disk.
	Table = mib
)

// A Disk is what is declared of a machine's disk.
type Disk struct {
	// Arch is the machine's architecture, "" for that of the computer which makes it.
	Arch string `json:",omitempty"`
	// Device, Serial and Size say which of a machine's disks it is, by its path, a
	// glob over its serial number, or a bound; at most one is set.
	Device string `json:",omitempty"`
	Serial string `json:",omitempty"`
	Size   string `json:",omitempty"`
	// Partitions are in their order on the disk.
	Partitions []Partition
}

// A Partition is one that is declared.
type Partition struct {
	Role       string
	Filesystem string `json:",omitempty"`
	Label      string `json:",omitempty"`
	// Size is in bytes, Share in percent of what is left when all sizes are taken.
	// Without both it takes what is left then, or what its role needs.
	Size  int64 `json:",omitempty"`
	Share int   `json:",omitempty"`
	// Grow has it take in what a larger disk has behind it.
	Grow bool `json:",omitempty"`
}

// Default is right for a laptop: it boots by BIOS, where the architecture has one, and
// by UEFI; all else is the stage's.
func Default(arch string) []Partition {
	parts := []Partition{{Role: BIOS}, {Role: ESP}, {Role: Stage, Grow: true}}
	if !hasBIOS(arch) {
		return parts[1:]
	}
	return parts
}

// complete fills in what is not said.
func (p Partition) complete() Partition {
	if p.Size == 0 && p.Share == 0 {
		p.Size = traits[p.Role].usual
	}
	if p.Filesystem == "" {
		p.Filesystem = traits[p.Role].filesystem
	}
	if p.Label == "" {
		p.Label = p.Role
	}
	return p
}

// Kind is the file system that it gets, "" for none.
func (p Partition) Kind() string { return p.complete().Filesystem }

// least is how many bytes it has to have.
func (p Partition) least() int64 { return max(traits[p.Role].least, leasts[p.Filesystem]) }

// fills reports whether the partition takes what is left.
func (p Partition) fills() bool { return p.Size == 0 && p.Share == 0 }

// A trait is what all partitions of a role have in common.
type trait struct {
	// usual is how large one is that says nothing, 0 if it takes what is left;
	// least is what it takes to be of use.
	usual, least int64
	// filesystem is "" if it has none.
	filesystem string
	// once: a disk has one at most.
	once bool
	// kind is its type in the table.
	kind string
}

// traits is never written to.
var traits = map[string]trait{
	BIOS:  {usual: mib, least: mib, once: true, kind: "21686148-6449-6E6F-744E-656564454649"},
	ESP:   {usual: 512 * mib, least: 34 * mib, filesystem: FAT, once: true, kind: TypeESP},
	Boot:  {usual: 1024 * mib, least: 64 * mib, filesystem: Ext4, once: true, kind: "BC13C2FF-59E6-4262-A352-B275FD6F7172"},
	Stage: {least: 256 * mib, filesystem: Ext4, once: true, kind: "0FC63DAF-8483-4772-8E79-3D69D8477DE4"},
	Data:  {least: 16 * mib, filesystem: Ext4, kind: "0FC63DAF-8483-4772-8E79-3D69D8477DE4"},
	Swap:  {least: mib, kind: "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"},
}

// leasts are what file systems take to be made at all, and have room for a little; it
// is never written to.
var leasts = map[string]int64{XFS: 320 * mib, Btrfs: 256 * mib}

// labels are how long a file system's label may be.
var labels = map[string]int{FAT: 11, XFS: 12, Ext4: 16, Btrfs: 16, "": 16}

// megabytes writes a size so that it can be declared.
func megabytes(n int64) string { return fmt.Sprintf("%dMB", (n+999_999)/1_000_000) }

// Words describes a declared partition in one line.
func (p Partition) Words() string {
	words := []string{p.Role}
	full := p.complete()
	switch {
	case full.Size != 0:
		words = append(words, megabytes(full.Size))
	case p.Share != 0:
		words = append(words, fmt.Sprintf("%d%% of the rest", p.Share))
	default:
		words = append(words, "the rest")
	}
	if full.Filesystem != "" {
		words = append(words, full.Filesystem)
	}
	if p.Label != "" {
		words = append(words, p.Label)
	}
	if p.Grow {
		words = append(words, "grows")
	}
	return strings.Join(words, " ")
}
