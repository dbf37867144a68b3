// Package removable tells which architectures a disk or a medium is for, by what UEFI
// starts of one that it has not seen before (UEFI specification 2.10, section 3.5.1.1).
package removable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/disk/bootcode"
	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/layout"
	"github.com/gitboot/gitboot/disk/scratch"
	"github.com/gitboot/gitboot/disk/tool"
)

// ErrRaspberryPi says that what starts of a disk is started by a Raspberry Pi's firmware.
var ErrRaspberryPi = errors.New("it is a Raspberry Pi's, whose firmware starts it")

// Architectures are those that a file's EFI system partitions have a program for, in Go's
// words and sorted; none if it has no such partition. The file is a disk, or in QEMU's
// format; its table a GPT, or an MBR.
func Architectures(ctx context.Context, file string) (found []string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("find out which machines %s is for: %w", file, err)
		}
	}()
	table, err := tableOf(ctx, file)
	if err != nil {
		return nil, err
	}
	for _, p := range table.Partitions {
		here, err := of(ctx, file, p.Start)
		if err != nil {
			return nil, err
		}
		found = append(found, here...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// tableOf is a disk's partitions from which firmware starts.
func tableOf(ctx context.Context, file string) (table gpt.Table, err error) {
	disk, _, err := open(ctx, file, 0)
	if err != nil {
		return table, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	table, err = gpt.Read(disk, math.MaxInt64)
	if errors.Is(err, gpt.ErrNone) {
		return gpt.ReadMBR(disk)
	}
	table.Partitions = slices.DeleteFunc(table.Partitions, func(p gpt.Partition) bool { return !strings.EqualFold(p.Type, layout.TypeESP) })
	return table, err
}

// of are the architectures of one partition, which begins at a place.
func of(ctx context.Context, file string, at int64) (found []string, err error) {
	disk, at, err := open(ctx, file, at)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if found, err = programs(ctx, disk, at); len(found) == 0 {
		if _, none := list(ctx, disk, at, "config.txt"); none == nil {
			return nil, ErrRaspberryPi
		}
	}
	return found, err
}

// limit is how long it may take to list folders, however broken the file system is.
const limit = 10 * time.Second

// programs are the architectures of those on the FAT file system that begins at a place.
func programs(ctx context.Context, disk *os.File, at int64) (found []string, err error) {
	all := layout.Architectures()
	names, err := list(ctx, disk, at, path.Dir(bootcode.Removable(all[0])))
	for _, arch := range all {
		if strings.Contains(strings.ToUpper(names), bootcode.Removable(arch)) {
			found = append(found, arch)
		}
	}
	return found, err
}

// list names what lies at a path of it.
func list(ctx context.Context, disk *os.File, at int64, path string) (string, error) {
	names, _, err := tool.Run(ctx, time.Unix(0, 0), "", "mdir", "-b", "-i", scratch.Path(disk)+"@@"+strconv.FormatInt(at, 10), "::"+path)
	return names, err
}

// open opens a file where something begins, and says where that is in what is opened.
func open(ctx context.Context, file string, at int64) (*os.File, int64, error) {
	disk, err := os.Open(file)
	if err != nil || !packed(disk) {
		return disk, at, err
	}
	if err := disk.Close(); err != nil {
		return nil, 0, err
	}
	disk, err = unpacked(ctx, file, at/unit)
	return disk, at % unit, err
}

// packed reports whether a file is in QEMU's format (QEMU's docs/interop/qcow2).
func packed(f io.ReaderAt) bool {
	var head [4]byte
	_, err := f.ReadAt(head[:], 0)
	return err == nil && string(head[:]) == "QFI\xfb"
}

// What is unpacked of a disk in QEMU's format is the beginning of a table or a file system,
// where folders are; behind it, it is as if nothing were written.
const (
	unit  = 1 << 20
	units = 32
)

// unpacked is such a part of a file, in memory.
func unpacked(ctx context.Context, file string, from int64) (*os.File, error) {
	disk, err := scratch.New(0)
	if err != nil {
		return nil, err
	}
	// (What skip= leaves of count= depends on QEMU's version.)
	source := fmt.Sprintf("driver=raw,offset=%d,file.driver=qcow2,file.file.driver=file,file.file.filename=%s", from*unit, strings.ReplaceAll(file, ",", ",,"))
	_, _, err = tool.Run(ctx, time.Unix(0, 0), "", "qemu-img", "dd", "--image-opts", "-O", "raw", "bs="+strconv.Itoa(unit), "count="+strconv.Itoa(units), "if="+source, "of="+scratch.Path(disk))
	if err == nil {
		err = disk.Truncate(1 << 40)
	}
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return disk, nil
}
