// Package blockmap says of what blocks a squashfs object consists, so that who has
// some of them in older objects fetches only the others.
//
// A map is an unsigned header and two columns, integers as in Protocol Buffers
// (base 128 varints):
//
//	"gitboot blocks\n"  and the version, one byte
//	size                of the object in bytes
//	count               of its blocks
//	count lengths       each at least 1 and at most 1 MiB; together they are the size
//	count sums          the first 16 bytes of the sha256 of each block
//
// Blocks follow upon each other and leave nothing out. Where they begin is decided by
// the object's own tables (rootfs.Reader.Cuts), so that a file that did not change is
// the same blocks in the next object, wherever it lies. The same object has the same
// map.
//
// A map is a hint: what was put together by it is an object only if it has its hash.
package blockmap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gitboot/gitboot/rootfs"
)

const (
	header = "gitboot blocks\n\x01"
	// MaxBlock is how long a block may be, which is the most that squashfs has.
	MaxBlock = 1 << 20
	// maxBlocks is how many there may be.
	maxBlocks = 1 << 20
	sumSize   = 16
	// MaxSize is how large a map may be, in bytes.
	MaxSize = len(header) + 2*binary.MaxVarintLen64 + maxBlocks*(3+sumSize)
)

// A Block is one block's length and the beginning of its sha256.
type Block struct {
	Length int32
	Sum    [sumSize]byte
}

func blockOf(data []byte) Block {
	sum := sha256.Sum256(data)
	return Block{int32(len(data)), [sumSize]byte(sum[:])}
}

// A Map is an object's blocks, in their order.
type Map []Block

// Size is the object's length.
func (m Map) Size() (n int64) {
	for _, b := range m {
		n += int64(b.Length)
	}
	return n
}

// Of makes the map of a squashfs of a size.
func Of(ctx context.Context, file io.ReaderAt, size int64) (Map, error) {
	lengths, err := lengthsOf(file, size)
	if err != nil {
		return nil, err
	}
	m := make(Map, 0, len(lengths))
	buf, off := make([]byte, MaxBlock), int64(0)
	for _, n := range lengths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := file.ReadAt(buf[:n], off); err != nil {
			return nil, fmt.Errorf("read the block at %d: %w", off, err)
		}
		m = append(m, blockOf(buf[:n]))
		off += int64(n)
	}
	return m, nil
}

// lengthsOf cuts a squashfs into blocks.
func lengthsOf(file io.ReaderAt, size int64) (lengths []int32, err error) {
	r, err := rootfs.New(file)
	if err != nil {
		return nil, err
	}
	cuts, err := r.Cuts(size)
	if err != nil {
		return nil, err
	}
	for i, begin := range cuts {
		end := size
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		for ; begin < end; begin += MaxBlock {
			if len(lengths) == maxBlocks {
				return nil, tooMany(len(lengths) + 1)
			}
			lengths = append(lengths, int32(min(end-begin, MaxBlock)))
		}
	}
	return lengths, nil
}

func tooMany(n int) error {
	return fmt.Errorf("it has %d blocks or more, of which %d are allowed", n, maxBlocks)
}

// Encode writes a map.
func (m Map) Encode() []byte {
	data := append([]byte(header), binary.AppendUvarint(nil, uint64(m.Size()))...)
	data = binary.AppendUvarint(data, uint64(len(m)))
	for _, b := range m {
		data = binary.AppendUvarint(data, uint64(b.Length))
	}
	for _, b := range m {
		data = append(data, b.Sum[:]...)
	}
	return data
}

// Parse reads the map of an object of a size.
func Parse(data []byte, size int64) (Map, error) {
	rest, ok := bytes.CutPrefix(data, []byte(header))
	if !ok {
		return nil, errors.New("it is no block map of a version that is read here")
	}
	next := func() (v uint64) {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			rest = nil
			return 0
		}
		rest = rest[n:]
		return v
	}
	if has := next(); has != uint64(size) {
		return nil, fmt.Errorf("it is of an object of %d bytes, and not of %d", has, size)
	}
	count := next()
	switch {
	case count > maxBlocks:
		return nil, tooMany(maxBlocks + 1)
	case count*(1+sumSize) > uint64(len(rest)):
		return nil, fmt.Errorf("%d bytes are no %d blocks", len(rest), count)
	}
	m := make(Map, count)
	for i := range m {
		n := next()
		if n == 0 || n > MaxBlock {
			return nil, fmt.Errorf("block %d has %d bytes", i, n)
		}
		m[i].Length = int32(n)
	}
	if len(rest) != len(m)*sumSize {
		return nil, fmt.Errorf("%d bytes of sums are not those of %d blocks", len(rest), len(m))
	}
	for i := range m {
		copy(m[i].Sum[:], rest[i*sumSize:])
	}
	if m.Size() != size {
		return nil, fmt.Errorf("its blocks have %d bytes together, and not %d", m.Size(), size)
	}
	return m, nil
}
