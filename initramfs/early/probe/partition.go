package probe

import (
	"fmt"
	"io"
)

// maxEntry is the largest GPT entry that is looked at; all known are 128.
const maxEntry = 4096

// PartUUID returns the PARTUUID of a disk's partition, counted from 1, as the
// kernel and blkid write it: a GUID for GPT, <disk>-<number> for MBR. It is
// "" if the disk has no such partition.
func PartUUID(disk io.ReaderAt, sector int64, number int) string {
	var mbr [512]byte
	if _, err := disk.ReadAt(mbr[:], 0); err != nil || number < 1 {
		return ""
	}
	if id := gptPartUUID(disk, sector, number); id != "" {
		return id
	}
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return ""
	}
	return fmt.Sprintf("%08x-%02x", le.Uint32(mbr[440:]), number)
}

// gptPartUUID follows the UEFI specification, section 5.3.
func gptPartUUID(disk io.ReaderAt, sector int64, number int) string {
	if sector < 512 || sector > 1<<16 {
		sector = 512
	}
	var head [92]byte
	if _, err := disk.ReadAt(head[:], sector); err != nil || string(head[:8]) != "EFI PART" {
		return ""
	}
	table, count, size := le.Uint64(head[72:]), le.Uint32(head[80:]), int64(le.Uint32(head[84:]))
	if size < 128 || size > maxEntry || uint32(number) > count || table > 1<<40 {
		return ""
	}
	var entry [32]byte
	if _, err := disk.ReadAt(entry[:], int64(table)*sector+int64(number-1)*size); err != nil {
		return ""
	}
	return guid(entry[16:])
}

// guid prints a GUID, whose first three parts are little-endian.
func guid(b []byte) string {
	if be.Uint64(b) == 0 && be.Uint64(b[8:]) == 0 {
		return ""
	}
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x",
		le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), be.Uint16(b[8:]), uint64(be.Uint16(b[10:]))<<32|uint64(be.Uint32(b[12:])))
}
