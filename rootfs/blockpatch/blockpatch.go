// Package blockpatch makes blocks of a new squashfs out of the content of older ones, for
// who has these and follows closely: less is fetched than the blocks themselves.
//
// A patch is a header and steps, integers as in Protocol Buffers (base 128 varints; those
// that may be negative are zigzag):
//
//	"gitboot patch\n"   and the version, one byte
//	steps, each         count of pieces, at least 1 or no step follows
//	                    count of pieces of older content
//	                    for each of these: which file, the way from the end of the
//	                    piece before to its beginning, its length as it is stored
//	                    twice, and one more if that is not compressed
//	                    the length of each new piece
//	                    the length of a zstd frame, and the frame
//
// The frame's raw dictionary (number 1) is the older content, expanded and joined; what it
// decodes to are the new pieces, each what one block of the new file holds, uncompressed.
// Who packs them as the new file was packed has its blocks. Whether they are these is
// known by their hash, so that a patch, too, is a hint: nothing it makes is believed.
//
// Each step stands for itself, so that no more than the older content and the new of one
// is in memory.
package blockpatch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/rootfs"
)

const (
	header = "gitboot patch\n\x01"
	// maxOlder and maxNew are how many bytes of content one step takes, and makes, and
	// maxPieces of how many pieces each is.
	maxOlder, maxNew, maxPieces = 8 << 20, 4 << 20, 4096
	// maxBlock is the most that a block of squashfs holds.
	maxBlock = 1 << 20
	// dictID names the dictionary in a frame.
	dictID = 1
	// MaxSources is of how many older files a patch may take.
	MaxSources = 128
)

// A piece is a block of an older file.
type piece struct {
	source int
	rootfs.Stored
}

func (p piece) end() int64 { return p.Offset + int64(p.Size) }

// A step makes new pieces out of older ones.
type step struct {
	older  []piece
	length []int32
	frame  []byte
}

func (s step) append(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(len(s.length)))
	to = binary.AppendUvarint(to, uint64(len(s.older)))
	var before piece
	for _, p := range s.older {
		plain := uint64(0)
		if p.Plain {
			plain = 1
		}
		to = binary.AppendUvarint(to, uint64(p.source))
		to = binary.AppendVarint(to, p.Offset-before.end())
		to = binary.AppendUvarint(to, uint64(p.Size)<<1|plain)
		before = p
	}
	for _, n := range s.length {
		to = binary.AppendUvarint(to, uint64(n))
	}
	to = binary.AppendUvarint(to, uint64(len(s.frame)))
	return append(to, s.frame...)
}

// errForm says that a patch does not have the form of one.
var errForm = errors.New("it is no patch of a version that is read here, or damaged")

// A reader reads steps.
type reader struct {
	*bufio.Reader
	sources int
}

func newReader(from io.Reader, sources int) (*reader, error) {
	r := &reader{bufio.NewReaderSize(from, maxBlock), sources}
	head := make([]byte, len(header))
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, cut(err)
	}
	if string(head) != header {
		return nil, errForm
	}
	return r, nil
}

// cut makes the end of a patch where none belongs an error.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next reads a step; after the last one comes io.EOF, when all of the patch was read.
func (r *reader) next() (s step, err error) {
	made, err := r.number(maxPieces)
	if err != nil {
		return s, err
	}
	if made == 0 {
		if _, err = r.ReadByte(); err == nil {
			err = errForm
		}
		return s, err
	}
	count, err := r.number(maxPieces)
	if err != nil {
		return s, err
	}
	var before piece
	for range count {
		p, err := r.piece(before)
		if err != nil {
			return s, err
		}
		s.older = append(s.older, p)
		before = p
	}
	total := 0
	for range made {
		n, err := r.number(maxBlock)
		if err != nil {
			return s, err
		}
		if total += n; n == 0 || total > maxNew {
			return s, fmt.Errorf("%w: a step of %d bytes or more", errForm, total)
		}
		s.length = append(s.length, int32(n))
	}
	n, err := r.number(maxNew + maxNew/64)
	if err != nil {
		return s, err
	}
	s.frame = make([]byte, n)
	_, err = io.ReadFull(r, s.frame)
	return s, cut(err)
}

func (r *reader) piece(before piece) (p piece, err error) {
	if p.source, err = r.number(r.sources - 1); err != nil {
		return p, err
	}
	way, err := binary.ReadVarint(r)
	if err != nil {
		return p, cut(err)
	}
	stored, err := r.number(2*maxBlock + 1)
	if err != nil {
		return p, err
	}
	p.Offset, p.Size, p.Plain = before.end()+way, int32(stored>>1), stored&1 == 1
	if p.Offset < 0 || p.Size == 0 {
		return p, fmt.Errorf("%w: %d bytes at %d", errForm, p.Size, p.Offset)
	}
	return p, nil
}

// number reads one that is no larger than most.
func (r *reader) number(most int) (int, error) {
	v, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, cut(err)
	}
	if v > uint64(max(most, 0)) {
		return 0, fmt.Errorf("%w: %d where at most %d can be", errForm, v, most)
	}
	return int(v), nil
}
