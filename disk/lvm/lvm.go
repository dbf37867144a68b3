// Package lvm reads what LVM2 writes on disks: which volume group a physical volume
// belongs to, and what a logical volume is made of. It writes nothing.
//
// The form is that of lvm2's lib/format_text: a label in one of the first four sectors,
// in it where metadata lie; there a ring buffer, and in that, as text, the whole volume
// group. What leads there has checksums.
//
// It reads what may lie on any disk, so it trusts nothing: whatever the bytes are, the
// result is bounded, a volume or an error, never a panic.
package lvm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

const (
	sectorSize = 512
	// labelSectors are where a label may be.
	labelSectors = 4
	// crcStart is what checksums begin with (lib/misc/crc.h).
	crcStart = 0xf597a6cf
	// maxText is more than the metadata of thousands of volumes.
	maxText = 16 << 20
	// maxAreas are more than a physical volume has of anything.
	maxAreas = 16
	idLength = 32
)

// ErrNone says that a device is no physical volume of LVM's.
var ErrNone = errors.New("it is no physical volume of LVM")

// A Member is what a physical volume says.
type Member struct {
	// UUID is its own, without hyphens.
	UUID string
	// Group is the volume group that it knows; nil if it holds no metadata.
	Group *Group
}

// Read reads a physical volume.
func Read(dev io.ReaderAt) (*Member, error) {
	sector, err := findLabel(dev)
	if err != nil {
		return nil, err
	}
	// the header of the physical volume follows, at offset_xl of the label
	at := binary.LittleEndian.Uint32(sector[20:])
	if at < idLength || at > sectorSize-idLength-8 {
		return nil, errors.New("LVM's label names no header")
	}
	m := &Member{UUID: string(sector[at : at+idLength])}
	if strings.ContainsFunc(m.UUID, notID) {
		return nil, errors.New("LVM's label has no UUID")
	}
	areas, err := metadataAreas(sector[at+idLength+8:])
	if err != nil {
		return nil, err
	}
	var wrong error
	for _, a := range areas {
		text, err := a.read(dev)
		if err == nil && text != nil {
			var g *Group
			if g, err = parseGroup(text); err == nil && (m.Group == nil || g.Seqno > m.Group.Seqno) {
				m.Group = g
			}
		}
		wrong = errors.Join(wrong, err)
	}
	if m.Group == nil && wrong != nil {
		return nil, wrong
	}
	return m, nil
}

func notID(r rune) bool { return (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z') }

func checksum(b []byte) uint32 {
	return ^crc32.Update(^uint32(crcStart), crc32.IEEETable, b)
}

// findLabel returns the sector of the label.
func findLabel(dev io.ReaderAt) ([]byte, error) {
	head := make([]byte, labelSectors*sectorSize)
	if _, err := dev.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	for i := range labelSectors {
		s := head[i*sectorSize : (i+1)*sectorSize]
		if string(s[:8]) != "LABELONE" || string(s[24:32]) != "LVM2 001" {
			continue
		}
		if binary.LittleEndian.Uint64(s[8:]) != uint64(i) || binary.LittleEndian.Uint32(s[16:]) != checksum(s[20:]) {
			return nil, errors.New("LVM's label is damaged")
		}
		return s, nil
	}
	return nil, ErrNone
}

// An area holds metadata: a header, and a ring of texts after it.
type area struct{ offset, size uint64 }

// metadataAreas are those of the second of two lists, each of which ends with zeros.
func metadataAreas(b []byte) (areas []area, err error) {
	lists := 0
	for i := 0; lists < 2; i++ {
		if len(b) < 16 || i > 2*maxAreas {
			return nil, errors.New("LVM's header names areas without end")
		}
		a := area{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
		b = b[16:]
		switch {
		case a.offset == 0:
			lists++
		case lists == 1:
			areas = append(areas, a)
		}
	}
	return areas, nil
}

// read returns the text that an area holds now, nil if there is none.
func (a area) read(dev io.ReaderAt) ([]byte, error) {
	const headerSize, magic = 512, "\x20LVM2\x20x[5A%r0N*>"
	if a.offset > 1<<62 || a.size > 1<<40 || a.size <= headerSize {
		return nil, errors.New("LVM's metadata lie nowhere")
	}
	h := make([]byte, headerSize)
	if _, err := dev.ReadAt(h, int64(a.offset)); err != nil {
		return nil, fmt.Errorf("reading LVM's metadata: %w", err)
	}
	le := binary.LittleEndian
	if le.Uint32(h) != checksum(h[4:]) || string(h[4:20]) != magic || le.Uint32(h[20:]) != 1 || le.Uint64(h[24:]) != a.offset {
		return nil, errors.New("the header of LVM's metadata is damaged")
	}
	at, size, sum, flags := le.Uint64(h[40:]), le.Uint64(h[48:]), le.Uint32(h[56:]), le.Uint32(h[60:])
	const ignored = 1
	switch {
	case at == 0 || flags&ignored != 0:
		return nil, nil
	case at < headerSize || at >= a.size || size > maxText || size > a.size-headerSize:
		return nil, errors.New("LVM's metadata are not where their header says")
	}
	text := make([]byte, size)
	first := min(size, a.size-at) // the rest is at the beginning of the ring
	if _, err := dev.ReadAt(text[:first], int64(a.offset+at)); err != nil {
		return nil, fmt.Errorf("reading LVM's metadata: %w", err)
	}
	if _, err := dev.ReadAt(text[first:], int64(a.offset+headerSize)); err != nil {
		return nil, fmt.Errorf("reading LVM's metadata: %w", err)
	}
	if checksum(text) != sum {
		return nil, errors.New("LVM's metadata are damaged")
	}
	return text, nil
}
