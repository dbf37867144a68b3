// Package rootfs reads the squashfs 4.0 file systems that layers are on the
// stage, without mounting them: one by a Reader, several as one root file
// system by a Tree.
//
// It reads what gitboot's stage writes: zstd (and gzip) compression, all kinds
// of inodes with their device numbers, and extended attributes, so that a
// union of layers can tell whiteouts and opaque directories. It is not a
// general library: no export table, no lzo, lz4, xz or lzma, no writing.
//
// Everything read is bounded and checked: a damaged file gives an error, never
// a panic. A Reader may be used by several goroutines at once.
//
// The format is described in the Linux kernel's fs/squashfs/squashfs_fs.h.
package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	magic          = 0x73717368
	superblockSize = 96
	metadataSize   = 8192
	none32         = 0xffffffff
	none64         = 0xffffffffffffffff
)

// ErrCorrupt is wrapped by every error about the file's own content.
var ErrCorrupt = errors.New("damaged squashfs")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

type superblock struct {
	Magic, Inodes, MTime, BlockSize, Fragments uint32
	Compressor, BlockLog, Flags, IDs           uint16
	Major, Minor                               uint16
	Root, Used                                 uint64
	IDTable, XattrTable                        uint64
	InodeTable, DirTable, FragmentTable        uint64
	ExportTable                                uint64
}

// A Reader reads one file system.
type Reader struct {
	file       io.ReaderAt
	super      superblock
	decompress decompressor
	meta       *cache
	fragments  *cache
}

// New checks the superblock of the file system that begins at file's start.
func New(file io.ReaderAt) (*Reader, error) {
	r := &Reader{file: file, meta: newCache(512), fragments: newCache(24)}
	raw := io.NewSectionReader(file, 0, superblockSize)
	if err := binary.Read(raw, binary.LittleEndian, &r.super); err != nil {
		return nil, corrupt("no superblock: %v", err)
	}
	s := &r.super
	switch {
	case s.Magic != magic:
		return nil, corrupt("magic is %#x", s.Magic)
	case s.Major != 4 || s.Minor != 0:
		return nil, corrupt("format is %d.%d, only 4.0 is read", s.Major, s.Minor)
	case s.BlockLog < 12 || s.BlockLog > 20 || s.BlockSize != 1<<s.BlockLog:
		return nil, corrupt("block size is %d", s.BlockSize)
	}
	var err error
	r.decompress, err = newDecompressor(s.Compressor)
	return r, err
}

// Root returns the top directory.
func (r *Reader) Root() (Inode, error) { return r.inode(r.super.Root) }
