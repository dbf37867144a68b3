// Package placement says where stage and boot loader lie on a disk that gitboot makes of a
// machine: by what is declared, so that what boots from it can be made elsewhere before
// there is the disk, and be the same.
package placement

import (
	"cmp"
	"runtime"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/disk"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/spec"
)

// StagePath is where the stage lies on its file system.
const StagePath = "/gitboot"

// ExtlinuxFolder is where U-Boot looks on a partition (its doc/develop/distro.rst).
const ExtlinuxFolder = "/extlinux"

// A Placement is where things lie on a machine's disk.
type Placement struct {
	// Seed is what the UUIDs are made of.
	Seed       string
	Arch       string
	Loader     string
	Partitions []layout.Partition
	// Placed are the partitions of the smallest disk; on a larger one the UUIDs are the same.
	Placed []layout.Placed
	// Stage and Boot are where process 1 and the boot loader find the stage, and where the
	// boot loader's own folder is.
	Stage, Boot boot.Filesystem
}

// Of is the placement of a machine's disk.
func Of(w *spec.Wants) (p Placement, err error) {
	p = Placement{Seed: w.Machine + "/" + w.MachineID, Arch: cmp.Or(w.Arch, runtime.GOARCH), Loader: cmp.Or(w.Boot.Loader, layout.Loader)}
	if p.Partitions = layout.Default(p.Arch); w.Disk != nil {
		p.Partitions = w.Disk.Partitions
	}
	if err := layout.CheckLoader(p.Loader, p.Partitions); err != nil {
		return p, err
	}
	if p.Placed, err = layout.Place(p.Partitions, layout.Need(p.Partitions), p.Seed); err != nil {
		return p, err
	}
	at := layout.Find(p.Placed, layout.Stage)
	p.Stage = boot.Filesystem{UUID: at.Search(), Type: at.Filesystem, Path: StagePath}
	switch p.Loader {
	case layout.SystemdBoot, layout.RaspberryPi:
		p.Boot = onESP(p.Placed, "/")
		return p, nil
	case layout.Extlinux:
		p.Boot = onESP(p.Placed, ExtlinuxFolder)
		return p, nil
	}
	role, folder := disk.GRUBFolder(p.Partitions)
	with := layout.Find(p.Placed, role)
	p.Boot = boot.Filesystem{UUID: with.Search(), Type: with.Filesystem, Path: folder}
	return p, nil
}

// onESP is a folder of the EFI system partition.
func onESP(placed []layout.Placed, folder string) boot.Filesystem {
	return boot.Filesystem{UUID: layout.Find(placed, layout.ESP).Search(), Type: layout.FAT, Path: folder}
}
