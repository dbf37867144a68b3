// Package uki makes unified kernel images: one program that the firmware starts, out of
// a stub (systemd-stub(7)), a kernel, its initramfs and its command line. Signed, it is
// all or nothing: Secure Boot starts none of it if any of it was changed.
//
// The form is that of the UAPI group's specification "Unified Kernel Image": sections of
// a PE file (Microsoft's "PE Format"), each at the beginning of a page behind those of
// the stub, the kernel's last. The stub is copied but for its headers, and for what is
// behind its last section, symbols: what lies between sections, no signature covers.
package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A Section is a part of an image.
type Section struct {
	// Name is .osrel, .cmdline, .initrd or .linux.
	Name string
	Size int64
	Data io.Reader
}

const (
	page = 4096
	// maxSize is less than where offsets of 32 bits end.
	maxSize = 2 << 30
	// MaxStub is more than any stub is long.
	MaxStub = 4 << 20

	headerLength    = 40         // of a section, in the table
	initializedRead = 0x40000040 // IMAGE_SCN_CNT_INITIALIZED_DATA | IMAGE_SCN_MEM_READ
)

// Offsets in the headers.
const (
	sectionsAt  = 6  // from the signature: NumberOfSections
	symbolsAt   = 12 // from the signature: PointerToSymbolTable, NumberOfSymbols
	optionalAt  = 24 // from the signature: the optional header
	imageSizeAt = 56 // from the optional header: SizeOfImage
	checkSumAt  = 64 // from the optional header: CheckSum
)

// A layout is a stub with the places that more sections take.
type layout struct {
	stub                []byte
	signature, optional int
	table               int
	fileAlign, align    int64
	fileEnd, memoryEnd  int64
	count               int
}

// Write writes an image to w.
func Write(w io.Writer, stub []byte, sections []Section) error {
	l, err := read(stub)
	if err != nil {
		return fmt.Errorf("read the stub: %w", err)
	}
	head, pads, err := l.headers(sections)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for i, s := range sections {
		n, err := io.Copy(w, io.LimitReader(s.Data, s.Size))
		switch {
		case err != nil:
			return fmt.Errorf("write section %s: %w", s.Name, err)
		case n != s.Size:
			return fmt.Errorf("write section %s: it has %d bytes of %d: %w", s.Name, n, s.Size, io.ErrUnexpectedEOF)
		}
		if _, err := w.Write(make([]byte, pads[i])); err != nil {
			return err
		}
	}
	return nil
}

// read finds out where a stub ends, in the file and in memory, and where there is room
// for more sections in its table.
func read(stub []byte) (*layout, error) {
	f, err := pe.NewFile(bytes.NewReader(stub))
	if err != nil {
		return nil, err
	}
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	switch {
	case !ok || f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 && f.Machine != pe.IMAGE_FILE_MACHINE_ARM64:
		return nil, errors.New("it is no program of 64 bits, of x86 or ARM")
	case header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY].Size != 0:
		return nil, errors.New("it is signed already; take one that is not")
	case header.FileAlignment == 0 || header.FileAlignment > page || header.SectionAlignment == 0 || header.SectionAlignment > 1<<20:
		return nil, errors.New("its alignments cannot be")
	}
	l := &layout{stub: stub, signature: int(binary.LittleEndian.Uint32(stub[0x3c:])), fileAlign: int64(header.FileAlignment), align: int64(header.SectionAlignment), count: len(f.Sections)}
	l.optional = l.signature + optionalAt
	l.table = l.optional + int(f.SizeOfOptionalHeader) + headerLength*l.count
	room := int64(header.SizeOfHeaders)
	for _, s := range f.Sections {
		if s.Size > 0 {
			room = min(room, int64(s.Offset))
		}
		if l.fileEnd = max(l.fileEnd, int64(s.Offset)+int64(s.Size)); l.fileEnd > int64(len(stub)) {
			return nil, fmt.Errorf("its section %.8q is cut off", s.Name)
		}
		l.memoryEnd = max(l.memoryEnd, int64(s.VirtualAddress)+int64(max(s.VirtualSize, s.Size)))
	}
	if l.table > int(room) || room > l.fileEnd {
		return nil, errors.New("its table of sections is not in its headers")
	}
	l.count, room = len(f.Sections), (room-int64(l.table))/headerLength
	if room < sectionsMost {
		return nil, fmt.Errorf("its headers have room for %d more sections, and %d are to come", room, sectionsMost)
	}
	return l, nil
}

// sectionsMost is how many sections come at most.
const sectionsMost = 4

// headers returns the stub with sections in its table, up to where the first begins,
// and how much is to follow each.
func (l *layout) headers(sections []Section) (head []byte, pads []int64, err error) {
	if len(sections) > sectionsMost {
		return nil, nil, fmt.Errorf("there are %d sections, and %d at most", len(sections), sectionsMost)
	}
	file, memory := up(l.fileEnd, l.fileAlign), up(l.memoryEnd, max(l.align, page))
	head = append(bytes.Clone(l.stub[:l.fileEnd]), make([]byte, file-l.fileEnd)...)
	clear(head[l.signature+symbolsAt:][:8])
	for i, s := range sections {
		if len(s.Name) > 8 || s.Size <= 0 || memory+s.Size > maxSize || file+s.Size > maxSize {
			return nil, nil, fmt.Errorf("section %.20q has %d bytes: the whole may have %d", s.Name, s.Size, int64(maxSize))
		}
		raw := up(s.Size, l.fileAlign)
		entry := head[l.table+i*headerLength:][:headerLength]
		clear(entry)
		copy(entry, s.Name)
		for at, value := range map[int]int64{8: s.Size, 12: memory, 16: raw, 20: file, 36: initializedRead} {
			binary.LittleEndian.PutUint32(entry[at:], uint32(value))
		}
		pads = append(pads, raw-s.Size)
		file, memory = file+raw, up(memory+s.Size, max(l.align, page))
	}
	binary.LittleEndian.PutUint16(head[l.signature+sectionsAt:], uint16(l.count+len(sections)))
	binary.LittleEndian.PutUint32(head[l.optional+imageSizeAt:], uint32(memory))
	binary.LittleEndian.PutUint32(head[l.optional+checkSumAt:], 0)
	return head, pads, nil
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }
