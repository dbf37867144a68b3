package squash

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gitboot/gitboot/deployment"
)

// A Made is the squashfs that somebody else has made of a layer, and that may be
// taken instead of making it. That it is of this layer is for its giver to know.
type Made struct {
	Object deployment.Object
	// Lacks are what the layer takes from those below it, and Taken is the hash of
	// what it took where this was made.
	Lacks *Lacks
	Taken string
	// Open streams it. Reading must end with an error when ctx ends, and with io.EOF
	// only after what was read has been found to be Object.
	Open func(context.Context) (io.ReadCloser, error)
	// Soon says that much of it is read before long.
	Soon bool
	// Blocks is a cheaper way to it, nil if there is none.
	Blocks *Blocks
}

// Blocks put an object together out of parts of others, and of what is fetched besides.
type Blocks struct {
	// Fetch is how many bytes are fetched.
	Fetch int64
	// Patch is one that is among them, nil if none is.
	Patch *Patch
	// Join writes all of it, in any order, and what it fetches to fetched as well.
	// Nothing has verified what it writes.
	Join func(ctx context.Context, to *os.File, fetched io.Writer) error
	// Spared reports, after joining, how much of Fetch was not.
	Spared func() int64
}

// A Patch makes blocks out of others.
type Patch struct {
	// Room is how much may lie beside the object for that.
	Room int64
	// Unfit reports, after joining, that it was not worth fetching: what it makes comes
	// out otherwise here.
	Unfit func() bool
}

// Fits looks whether above these files, lowest first, the layer becomes what was made.
// The caller closes what it returns, nil if it does not.
func (m *Made) Fits(ctx context.Context, below func(context.Context) ([]string, error)) (*Taking, error) {
	if m.Lacks == nil {
		return &Taking{}, nil
	}
	files, err := below(ctx)
	if err != nil {
		return nil, err
	}
	t, err := Take(m.Lacks, files)
	if err != nil || t.Hash() == m.Taken {
		return t, err
	}
	return nil, t.Close()
}

// What a superblock of squashfs 4.0 has (Documentation/filesystems/squashfs.rst of
// Linux, struct squashfs_super_block): where it says how it is compressed, in what
// form it is, and how long it is.
const (
	superblockSize = 96
	magicAt        = 0
	compressionAt  = 20
	majorAt        = 28
	usedAt         = 40

	magic = 0x73717368
	zstd  = 6
	major = 4
)

// CheckForm says why an image's kernel might not read a squashfs, of which the first
// bytes are given: what is made here is read by all that are booted.
func CheckForm(head []byte, size int64) error {
	if len(head) < superblockSize || binary.LittleEndian.Uint32(head[magicAt:]) != magic {
		return errors.New("it is no squashfs")
	}
	form, packed := binary.LittleEndian.Uint16(head[majorAt:]), binary.LittleEndian.Uint16(head[compressionAt:])
	if form != major || packed != zstd {
		return fmt.Errorf("it is a squashfs of version %d and compression %d, and not of %d and %d (zstd)", form, packed, major, zstd)
	}
	if used := binary.LittleEndian.Uint64(head[usedAt:]); used > uint64(size) {
		return fmt.Errorf("it has %d bytes of the %d that it says", size, used)
	}
	return nil
}
