package rootfs

import (
	"encoding/binary"
	"slices"
)

const (
	// maxCuts is how many parts a file may have, and maxSteps how much may be read to
	// find them: a few bytes can stand for very many entries.
	maxCuts, maxSteps = 1 << 20, 1 << 24
	// storedWhole marks a metadata block that is not compressed.
	storedWhole = 0x8000
)

// Cuts returns where the parts begin that the file consists of, 0 first and ascending:
// each block of a file, each block of files' ends, each block of inodes and of
// folders, each table. What two file systems have in common, they have as the same
// parts. size is the file's length.
func (r *Reader) Cuts(size int64) ([]int64, error) {
	c := &cutter{Reader: r, size: size, at: []int64{0}}
	s := r.super
	for _, table := range []uint64{superblockSize, s.InodeTable, s.DirTable, s.FragmentTable, s.ExportTable, s.IDTable, s.XattrTable, s.Used} {
		c.cut(int64(table))
	}
	for _, find := range []func() error{c.inodes, c.fragments, c.metadata} {
		if err := find(); err != nil {
			return nil, err
		}
	}
	slices.Sort(c.at)
	return slices.Compact(c.at), nil
}

// Tables returns where the tables begin that say what there is and where it lies; files'
// content lies before them.
func (r *Reader) Tables() int64 { return int64(r.super.InodeTable) }

// A cutter finds the places at which a file is cut.
type cutter struct {
	*Reader
	size  int64
	at    []int64
	steps int
}

// cut cuts at a place in the file; tables that there are not lie outside.
func (c *cutter) cut(off int64) {
	if off > 0 && off < c.size {
		c.at = append(c.at, off)
	}
}

// step bounds the work.
func (c *cutter) step() error {
	if c.steps++; c.steps > maxSteps || len(c.at) > 2*maxCuts {
		return corrupt("more than %d parts", maxCuts)
	}
	return nil
}

// inodes cuts around the blocks of all files.
func (c *cutter) inodes() error {
	if c.super.Inodes == 0 {
		return nil
	}
	s, err := c.stream(int64(c.super.InodeTable), 0)
	if err != nil {
		return err
	}
	for range c.super.Inodes {
		if err := c.step(); err != nil {
			return err
		}
		i, err := readInode(s)
		if err != nil {
			return err
		}
		switch i.kind {
		case typeFile:
			err = c.file(&i, s)
		case typeDir:
			err = c.skipIndex(&i, s)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// file cuts around a file's blocks.
func (c *cutter) file(i *Inode, s *stream) error {
	bs := int64(c.super.BlockSize)
	blocks := i.Size / bs
	if i.Size%bs > 0 && i.fragment == none32 {
		blocks++
	}
	pos := i.start
	for range blocks {
		if err := c.step(); err != nil {
			return err
		}
		b, err := s.take(4)
		if err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint32(b) &^ storedPlain)
		if n == 0 {
			continue // a hole
		}
		c.cut(pos)
		pos += n
		c.cut(pos)
	}
	return nil
}

// skipIndex passes over the index of a large folder.
func (c *cutter) skipIndex(i *Inode, s *stream) error {
	for range i.indexes {
		if err := c.step(); err != nil {
			return err
		}
		b, err := s.take(12)
		if err != nil {
			return err
		}
		n := int(binary.LittleEndian.Uint32(b[8:]))
		if n >= metadataSize {
			return corrupt("a folder's index has a name of %d bytes", n)
		}
		if _, err := s.take(n + 1); err != nil {
			return err
		}
	}
	return nil
}

// fragments cuts around the blocks of files' ends.
func (c *cutter) fragments() error {
	for n := range c.super.Fragments {
		if err := c.step(); err != nil {
			return err
		}
		pos, stored, err := c.fragment(n)
		if err != nil {
			return err
		}
		c.cut(pos)
		c.cut(pos + int64(stored&^storedPlain))
	}
	return nil
}

// metadata cuts the tables of inodes and of folders, and what is said of files' ends,
// into their blocks.
func (c *cutter) metadata() error {
	sup := c.super
	end := sup.Used
	for _, table := range []uint64{sup.FragmentTable, sup.ExportTable, sup.IDTable, sup.XattrTable} {
		if table > sup.DirTable {
			end = min(end, table)
		}
	}
	for off := int64(sup.InodeTable); off >= superblockSize && off < min(int64(end), c.size-2); {
		if err := c.step(); err != nil {
			return err
		}
		c.cut(off)
		var head [2]byte
		if _, err := c.Reader.file.ReadAt(head[:], off); err != nil {
			return corrupt("reading metadata at %d: %v", off, err)
		}
		off += 2 + int64(binary.LittleEndian.Uint16(head[:])&^storedWhole)
	}
	return nil
}
