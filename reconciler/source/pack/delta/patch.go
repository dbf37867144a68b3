// Package delta puts objects together that git stores as differences from
// others: in memory, or in regions of a file where they are large.
package delta

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// A difference is two sizes, of its base and its result, and then commands:
// copy a part of the base, or insert the bytes that follow (git's
// Documentation/gitformat-pack, "Deltified representation").

// ErrMalformed begins what is said of a pack that is none.
var ErrMalformed = errors.New("the pack is malformed")

// Patch makes an object in memory.
func Patch(base, delta []byte) ([]byte, error) {
	content, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, unfit(err)
	}
	return content, nil
}

func unfit(err error) error {
	return fmt.Errorf("%w: a difference does not fit its base: %w", ErrMalformed, err)
}

// Size reads the size of a difference's result.
func Size(delta []byte) int64 {
	_, n := binary.Uvarint(delta)
	size, _ := binary.Uvarint(delta[max(n, 0):])
	return int64(size & (1<<62 - 1))
}

// A Patcher makes an object that may be larger than memory.
type Patcher struct {
	base  Content
	delta *bufio.Reader
	size  int64 // of the result
	work  func() error
}

// NewPatcher begins; work is called for each part of the base that is read.
func NewPatcher(base Content, delta *bufio.Reader, work func() error) (*Patcher, error) {
	from, err := binary.ReadUvarint(delta)
	if err != nil {
		return nil, unfit(err)
	}
	size, err := binary.ReadUvarint(delta)
	if err != nil || int64(from) != base.Size() || size > 1<<62 {
		return nil, unfit(errors.Join(err, packfile.ErrInvalidDelta))
	}
	return &Patcher{base: base, delta: delta, size: int64(size), work: work}, nil
}

// Size is the result's.
func (p *Patcher) Size() int64 { return p.size }

// WriteResult writes the object.
func (p *Patcher) WriteResult(w io.Writer) error {
	for left := p.size; ; {
		command, err := p.delta.ReadByte()
		switch {
		case err == io.EOF && left == 0:
			return nil
		case err != nil || command == 0:
			return unfit(errors.Join(err, packfile.ErrInvalidDelta))
		}
		from, n := io.Reader(p.delta), int64(command)
		if command&0x80 != 0 {
			if from, n, err = p.part(command); err != nil {
				return err
			}
		}
		if left -= n; left < 0 {
			return unfit(packfile.ErrInvalidDelta)
		}
		if _, err := io.CopyN(w, from, n); err != nil {
			return unfit(err)
		}
	}
}

// part reads which part of the base a command copies: the bits of command say
// which bytes of offset and size follow, the least significant ones first.
func (p *Patcher) part(command byte) (io.Reader, int64, error) {
	var number [7]byte
	for i := range number {
		if command&(1<<i) == 0 {
			continue
		}
		b, err := p.delta.ReadByte()
		if err != nil {
			return nil, 0, unfit(err)
		}
		number[i] = b
	}
	at := int64(binary.LittleEndian.Uint32(number[:4]))
	n := int64(number[4]) | int64(number[5])<<8 | int64(number[6])<<16
	if n == 0 {
		n = 1 << 16
	}
	if at+n > p.base.Size() {
		return nil, 0, unfit(packfile.ErrInvalidDelta)
	}
	return io.NewSectionReader(p.base, at, n), n, p.work()
}
