// Package partition is what a config repo says of a machine's disk.
package partition

import (
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/problem"
)

// A DiskDecl is a table disk.
type DiskDecl struct {
	where      position.Place
	Device     *string         `key:"device" is:"device" doc:"The disk's path, such as /dev/disk/by-id/nvme-…. One of device, serial and size says which disk of the machine it is; none leaves it to who writes one."`
	Serial     *string         `key:"serial" is:"serial" doc:"A glob over the disk's serial number."`
	Size       *string         `key:"size" is:"disk-size" doc:"How large the disk is: >=200GB, <1TB or =500GB; within one percent."`
	Table      *string         `key:"table" is:"disk-table" default:"gpt" doc:"The partition table."`
	Partitions []PartitionDecl `key:"partitions" doc:"The partitions, in their order; if absent, those that are right for a laptop: bios (not of arm64), esp, and a stage that takes the rest and grows. Replaces what is merged below."`
}

// Put notes where it was declared.
func (d *DiskDecl) Put(p position.Place) { d.where = p }

// A PartitionDecl is one partition.
type PartitionDecl struct {
	where      position.Place
	Role       *string `key:"role" is:"disk-role" required:"true" doc:"What it is for. bios: GRUB's core, for a BIOS. esp: what UEFI reads. boot: GRUB's own files, if they are not to lie beside the stage. stage. data: an empty file system. swap."`
	Filesystem *string `key:"filesystem" is:"disk-filesystem" doc:"Of a boot, stage or data partition; ext4 if absent. An esp has vfat."`
	Label      *string `key:"label" is:"disk-label" doc:"The label of the file system and the partition; the role if absent."`
	Size       *string `key:"size" is:"size" doc:"How large it is, such as 20GB, in thousands, rounded up to whole MiB. If absent: 1 MiB of bios, 512 MiB of esp, 1 GiB of boot, and of others what is left."`
	Share      *string `key:"share" is:"share" doc:"How large it is of what is left when all sizes are taken, such as 50%."`
	Grow       *bool   `key:"grow" default:"false" doc:"Whether it takes in what a larger disk has behind it, when it is written there; for the last one."`
}

// Put notes where it was declared.
func (p *PartitionDecl) Put(at position.Place) { p.where = at }

// Of is the disk that was declared of a machine of an architecture, "" for any, merged of layers, nil if none was. Problems are
// told at the partition, or at the last layer's table.
func Of(list *problem.List, arch string, merged *DiskDecl, layers ...*DiskDecl) *layout.Disk {
	if merged == nil {
		return nil
	}
	d := &layout.Disk{Arch: arch, Device: text(merged.Device), Serial: text(merged.Serial), Size: text(merged.Size)}
	for _, p := range merged.Partitions {
		d.Partitions = append(d.Partitions, p.partition())
	}
	if merged.Partitions == nil {
		d.Partitions = layout.Default(arch)
	}
	whole := position.Place{}
	for _, layer := range layers {
		if layer != nil {
			whole = layer.where
		}
	}
	for _, w := range d.Check() {
		at := whole
		if w.Index >= 0 && w.Index < len(merged.Partitions) {
			at = merged.Partitions[w.Index].where
		}
		if w.Key != "" {
			at = at.At(w.Key)
		}
		list.Add(at, w.Value, w.Message, w.Remedy)
	}
	return d
}

// partition is one whose values were checked.
func (p PartitionDecl) partition() layout.Partition {
	size, _ := progress.ParseBytes(text(p.Size))
	share, _ := strconv.Atoi(strings.TrimSuffix(text(p.Share), "%"))
	return layout.Partition{
		Role: text(p.Role), Filesystem: text(p.Filesystem), Label: text(p.Label), Size: size, Share: share, Grow: p.Grow != nil && *p.Grow,
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
