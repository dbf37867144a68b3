package gpt

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// The MBR's types of partitions: what keeps those away who know no GPT, and FAT32 that is
// found by sectors.
const (
	typeProtective = 0xee
	typeFAT        = 0x0c
)

// starting are the types of those that firmware starts from: FAT32 by cylinders, FAT32, FAT16,
// and an EFI system partition. It is never written to.
var starting = []byte{0x0b, typeFAT, 0x0e, 0xef}

const (
	// mbrEntry is how many bytes an entry has, of which there are mbrEntries.
	mbrEntry, mbrEntries = 16, 4
	// active marks an entry that is booted from.
	active = 0x80
)

// mbr is what is behind the boot code. It keeps those away who know no GPT, by one partition
// all over; or shows them some partitions beside it, and then the protective one ends before
// the first of them, and comes last, as gdisk makes such tables.
func (t Table) mbr(sectors int64) ([]byte, error) {
	data := make([]byte, Sector-bootCode)
	data[len(data)-2], data[len(data)-1] = 0x55, 0xaa
	shown, protected := 0, sectors
	for i, p := range t.Partitions {
		if !p.MBR {
			continue
		}
		first, length := p.Start/Sector, p.Length/Sector
		if shown == mbrEntries-1 || first+length > math.MaxUint32 {
			return nil, fmt.Errorf("partition %d has no place in the MBR, which knows three beside the table, on the first 2 TiB", i+1)
		}
		putMBR(data[shown*mbrEntry:], typeFAT, first, length)
		data[shown*mbrEntry] = active
		shown, protected = shown+1, min(protected, first)
	}
	putMBR(data[shown*mbrEntry:], typeProtective, 1, protected-1)
	if shown == 0 {
		copy(data[1:], []byte{0x00, 0x02, 0x00}) // as the specification has it
	}
	return data, nil
}

// putMBR writes an entry, whose cylinders, heads and sectors nobody reads.
func putMBR(entry []byte, kind byte, first, length int64) {
	copy(entry[1:], []byte{0xff, 0xff, 0xff, kind, 0xff, 0xff, 0xff})
	binary.LittleEndian.PutUint32(entry[8:], uint32(first))
	binary.LittleEndian.PutUint32(entry[12:], uint32(min(length, math.MaxUint32)))
}

// An mbrPartition is an entry of it.
type mbrPartition struct {
	kind          byte
	start, length int64
}

func readEntries(disk io.ReaderAt) (all []mbrPartition, err error) {
	data := make([]byte, Sector-bootCode)
	if _, err := disk.ReadAt(data, bootCode); err != nil {
		return nil, fmt.Errorf("read the partition table: %w", err)
	}
	if data[len(data)-2] != 0x55 || data[len(data)-1] != 0xaa {
		return nil, nil
	}
	for entry := range slices.Chunk(data[:mbrEntries*mbrEntry], mbrEntry) {
		first, length := binary.LittleEndian.Uint32(entry[8:]), binary.LittleEndian.Uint32(entry[12:])
		all = append(all, mbrPartition{entry[4], int64(first) * Sector, int64(length) * Sector})
	}
	return all, nil
}

// showsInMBR finds out which partitions the MBR has, too.
func (t Table) showsInMBR(disk io.ReaderAt) error {
	all, err := readEntries(disk)
	for i, p := range t.Partitions {
		t.Partitions[i].MBR = slices.Contains(all, mbrPartition{typeFAT, p.Start, p.Length})
	}
	return err
}

// ReadMBR reads of a disk without a GPT where firmware may start from: EFI system partitions,
// and FAT. There are four at most; logical ones are not looked for.
func ReadMBR(disk io.ReaderAt) (t Table, err error) {
	all, err := readEntries(disk)
	for _, p := range all {
		if slices.Contains(starting, p.kind) && p.start > 0 && p.length > 0 {
			t.Partitions = append(t.Partitions, Partition{Start: p.start, Length: p.length})
		}
	}
	return t, err
}
