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

// Architectures are those that a file's EFI system partitions have a program for, in Go's
// words and sorted; none if it has no such partition. The file is a disk, or in QEMU's
// format.
func Architectures(ctx context.Context, file string) (found []string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("find out which machines %s is for: %w", file, err)
		}
	}()
	disk, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	if packed(disk) {
		if disk, err = unpacked(ctx, file, disk); err != nil {
			return nil, err
		}
	}
	table, err := gpt.Read(disk, math.MaxInt64)
	if errors.Is(err, gpt.ErrNone) {
		return nil, nil
	}
	for _, p := range table.Partitions {
		if err == nil && strings.EqualFold(p.Type, layout.TypeESP) {
			var here []string
			here, err = programs(ctx, disk, p.Start)
			found = append(found, here...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), err
}

// limit is how long it may take to list a folder, however broken the file system is.
const limit = 10 * time.Second

// programs are the architectures of those on the FAT file system that begins at a place.
func programs(ctx context.Context, disk *os.File, at int64) (found []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	all := layout.Architectures()
	list, _, err := tool.Run(ctx, time.Unix(0, 0), "", "mdir", "-b", "-i", scratch.Path(disk)+"@@"+strconv.FormatInt(at, 10), "::"+path.Dir(bootcode.Removable(all[0])))
	for _, arch := range all {
		if strings.Contains(strings.ToUpper(list), bootcode.Removable(arch)) {
			found = append(found, arch)
		}
	}
	return found, err
}

// packed reports whether a file is in QEMU's format (QEMU's docs/interop/qcow2).
func packed(f io.ReaderAt) bool {
	var head [4]byte
	_, err := f.ReadAt(head[:], 0)
	return err == nil && string(head[:]) == "QFI\xfb"
}

// What is unpacked of a disk in QEMU's format is its beginning, where the folders of its
// EFI system partition are; behind it, it is as if nothing were written.
const (
	unit  = 1 << 20
	units = 32
)

// unpacked takes the place of a file, in memory.
func unpacked(ctx context.Context, file string, packed *os.File) (*os.File, error) {
	if err := packed.Close(); err != nil {
		return nil, err
	}
	disk, err := scratch.New(0)
	if err != nil {
		return nil, err
	}
	_, _, err = tool.Run(ctx, time.Unix(0, 0), "", "qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs="+strconv.Itoa(unit), "count="+strconv.Itoa(units), "if="+file, "of="+scratch.Path(disk))
	if err == nil {
		err = disk.Truncate(1 << 40)
	}
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	return disk, nil
}
