package uki

import (
	"cmp"
	"crypto/sha256"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// directoryAt is where the place of the table of certificates is, from the optional
// header of a program of 64 bits.
const directoryAt = 112 + 8*pe.IMAGE_DIRECTORY_ENTRY_SECURITY

// A signable is a program of the firmware's, as far as a signature is about it.
type signable struct {
	io.ReaderAt
	size int64
	// optional is where the optional header is.
	optional int64
	// table is where the table of certificates is, and how long; 0 if there is none.
	table, tableSize int64
}

// open reads the headers of a program. One with gaps between its sections is refused:
// what is in them, nobody's signature covers.
func open(r io.ReaderAt, size int64) (*signable, error) {
	f, err := pe.NewFile(io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	header, ok := f.OptionalHeader.(*pe.OptionalHeader64)
	if !ok || header.NumberOfRvaAndSizes <= pe.IMAGE_DIRECTORY_ENTRY_SECURITY {
		return nil, errors.New("it is no program of 64 bits that can be signed")
	}
	var at [4]byte
	if _, err := r.ReadAt(at[:], 0x3c); err != nil {
		return nil, err
	}
	place := header.DataDirectory[pe.IMAGE_DIRECTORY_ENTRY_SECURITY]
	p := &signable{r, size, int64(binary.LittleEndian.Uint32(at[:])) + optionalAt, int64(place.VirtualAddress), int64(place.Size)}
	if p.tableSize == 0 {
		p.table = 0
	} else if p.table < p.optional || p.table+p.tableSize != size {
		return nil, errors.New("its signatures are not at its end")
	}
	sections := slices.DeleteFunc(slices.Clone(f.Sections), func(s *pe.Section) bool { return s.Size == 0 })
	slices.SortFunc(sections, func(a, b *pe.Section) int { return cmp.Compare(a.Offset, b.Offset) })
	end := header.SizeOfHeaders
	for _, s := range sections {
		if s.Offset != end || int64(s.Offset)+int64(s.Size) > p.end() {
			return nil, fmt.Errorf("its section %.8q does not begin where the one before ends", s.Name)
		}
		end += s.Size
	}
	return p, nil
}

// end is where what is signed ends.
func (p *signable) end() int64 {
	if p.table > 0 {
		return p.table
	}
	return p.size
}

// digest is what a signature is of (Microsoft's "Windows Authenticode Portable
// Executable Signature Format"): all but the checksum, the place of the signatures and
// these themselves, filled up to where they begin.
func (p *signable) digest() ([]byte, error) {
	sum := sha256.New()
	from := int64(0)
	for _, skip := range []struct{ at, length int64 }{{p.optional + checkSumAt, 4}, {p.optional + directoryAt, 8}, {p.end(), 0}} {
		if _, err := io.Copy(sum, io.NewSectionReader(p, from, skip.at-from)); err != nil {
			return nil, err
		}
		from = skip.at + skip.length
	}
	sum.Write(make([]byte, up(p.end(), aligned)-p.end()))
	return sum.Sum(nil), nil
}

// aligned is where signatures begin: at a multiple of it.
const aligned = 8
