// Package gpt is the codec of partition tables: what is written at both ends of a
// disk, and read there again. UEFI specification 2.10, sections 5.2 (the protective
// MBR) and 5.3; sectors of 512 bytes, a table of 128 entries, or of
// more where somebody else has written it.
package gpt

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

// Sector is what a disk is counted in.
const Sector = 512

const (
	signature  = "EFI PART"
	revision   = 0x00010000
	headerSize = 92
	entrySize  = 128
	entries    = 128
	table      = entries * entrySize / Sector // sectors
	// maxEntries is more than programs make room for.
	maxEntries = 1024
	// bootCode is how much of the first sector is not the table's.
	bootCode = 446
)

// A Table is what is at both ends of a disk.
type Table struct {
	UUID       string
	Partitions []Partition
}

// A Partition is an entry; Start and Length are in bytes.
type Partition struct {
	Type, UUID, Name string
	Start, Length    int64
	// Grow says that the file system is to be as large as the partition
	// (Discoverable Partitions Specification, partition attribute flags).
	Grow bool
	// MBR says that the MBR has the partition, too, for firmware that knows no GPT and
	// reads FAT.
	MBR bool `json:",omitempty"`
}

// growBit is that in an entry.
const growBit = 1 << 59

// Write writes a table to both ends of a disk of so many bytes. What is in the first
// sector before the table stays.
func (t Table) Write(disk io.WriterAt, size int64) error {
	all, err := t.entries(size)
	if err != nil {
		return err
	}
	sectors := size / Sector
	id, err := parseUUID(t.UUID)
	if err != nil {
		return err
	}
	mbr, err := t.mbr(sectors)
	if err != nil {
		return err
	}
	last := sectors - 1
	for _, part := range []struct {
		at   int64
		data []byte
	}{
		{bootCode, mbr},
		{1 * Sector, header(id, all, 1, last, 2, last)},
		{2 * Sector, all},
		{(last - table) * Sector, all},
		{last * Sector, header(id, all, last, 1, last-table, last)},
	} {
		if _, err := disk.WriteAt(part.data, part.at); err != nil {
			return fmt.Errorf("write the partition table: %w", err)
		}
	}
	return nil
}

func (t Table) entries(size int64) ([]byte, error) {
	all := make([]byte, entries*entrySize)
	if len(t.Partitions) > entries {
		return nil, fmt.Errorf("a table has no room for %d partitions", len(t.Partitions))
	}
	for i, p := range t.Partitions {
		first, last := (2+table)*int64(Sector), size/Sector*Sector-(1+table)*Sector
		if p.Start%Sector != 0 || p.Length%Sector != 0 || p.Length <= 0 || p.Start < first || p.Start > last-p.Length {
			return nil, fmt.Errorf("partition %d does not lie between %d and %d", i+1, first, last)
		}
		if err := p.put(all[i*entrySize : (i+1)*entrySize]); err != nil {
			return nil, fmt.Errorf("partition %d: %w", i+1, err)
		}
	}
	return all, nil
}

func (p Partition) put(entry []byte) error {
	kind, err := parseUUID(p.Type)
	if err != nil {
		return err
	}
	id, err := parseUUID(p.UUID)
	if err != nil {
		return err
	}
	name := utf16.Encode([]rune(p.Name))
	if len(name) > 36 {
		return fmt.Errorf("the name %q is too long", p.Name)
	}
	copy(entry, kind[:])
	copy(entry[16:], id[:])
	binary.LittleEndian.PutUint64(entry[32:], uint64(p.Start/Sector))
	binary.LittleEndian.PutUint64(entry[40:], uint64((p.Start+p.Length)/Sector-1))
	if p.Grow {
		binary.LittleEndian.PutUint64(entry[48:], growBit)
	}
	for i, c := range name {
		binary.LittleEndian.PutUint16(entry[56+2*i:], c)
	}
	return nil
}

// header is the one at a sector, whose table begins at another, and whose twin lies
// at a third.
func header(id [16]byte, all []byte, own, other, tableAt, last int64) []byte {
	h := make([]byte, Sector)
	copy(h, signature)
	le := binary.LittleEndian
	le.PutUint32(h[8:], revision)
	le.PutUint32(h[12:], headerSize)
	le.PutUint64(h[24:], uint64(own))
	le.PutUint64(h[32:], uint64(other))
	le.PutUint64(h[40:], 2+table)
	le.PutUint64(h[48:], uint64(last-table-1))
	copy(h[56:], id[:])
	le.PutUint64(h[72:], uint64(tableAt))
	le.PutUint32(h[80:], entries)
	le.PutUint32(h[84:], entrySize)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(all))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerSize]))
	return h
}

// ErrNone says that there is no table.
var ErrNone = errors.New("there is no GPT partition table")

// Read reads the table at the beginning of a disk of so many bytes.
func Read(disk io.ReaderAt, size int64) (t Table, err error) {
	h := make([]byte, Sector)
	if _, err := disk.ReadAt(h, Sector); err != nil {
		return t, fmt.Errorf("read the partition table: %w", err)
	}
	le := binary.LittleEndian
	if string(h[:8]) != signature {
		return t, ErrNone
	}
	sum := le.Uint32(h[16:])
	le.PutUint32(h[16:], 0)
	count := le.Uint32(h[80:])
	if le.Uint32(h[12:]) != headerSize || count < entries || count > maxEntries || le.Uint32(h[84:]) != entrySize || le.Uint64(h[72:]) != 2 {
		return t, errors.New("the partition table has an unusual form; make it anew")
	}
	all := make([]byte, count*entrySize)
	if _, err := disk.ReadAt(all, 2*Sector); err != nil {
		return t, fmt.Errorf("read the partition table: %w", err)
	}
	if crc32.ChecksumIEEE(h[:headerSize]) != sum || crc32.ChecksumIEEE(all) != le.Uint32(h[88:]) {
		return t, errors.New("the partition table is damaged: its checksums are not those of what is there")
	}
	t.UUID = formatUUID(h[56:72])
	for i := range count {
		p, ok := partition(all[i*entrySize : (i+1)*entrySize])
		if !ok {
			continue
		}
		if p.Start < 0 || p.Length <= 0 || p.Start > size-p.Length {
			return t, fmt.Errorf("partition %d does not lie on the disk", i+1)
		}
		t.Partitions = append(t.Partitions, p)
	}
	return t, t.showsInMBR(disk)
}

func partition(entry []byte) (p Partition, used bool) {
	if bytes.Equal(entry[:16], make([]byte, 16)) {
		return p, false
	}
	le := binary.LittleEndian
	first, last := le.Uint64(entry[32:]), le.Uint64(entry[40:])
	p = Partition{Type: formatUUID(entry[:16]), UUID: formatUUID(entry[16:32]), Grow: le.Uint64(entry[48:])&growBit != 0}
	const most = 1 << 53 // bytes stay within what they are counted in
	if first > most || last > most || last < first {
		return p, true
	}
	p.Start, p.Length = int64(first)*Sector, int64(last-first+1)*Sector
	var name []uint16
	for i := 56; i < entrySize; i += 2 {
		c := le.Uint16(entry[i:])
		if c == 0 {
			break
		}
		name = append(name, c)
	}
	p.Name = string(utf16.Decode(name))
	return p, true
}

// parseUUID reads a UUID into its form on the disk: the first three groups are
// little-endian (appendix A).
func parseUUID(text string) (id [16]byte, err error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != 16 {
		return id, fmt.Errorf("%.40q is no UUID", text)
	}
	for i, from := range order {
		id[i] = raw[from]
	}
	return id, nil
}

var order = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

func formatUUID(id []byte) string {
	raw := make([]byte, 16)
	for i, from := range order {
		raw[i] = id[from]
	}
	h := hex.EncodeToString(raw)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
