package xfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// inodeSize is that of an inode on the disk.
const inodeSize = 512

// Where an inode has what (struct xfs_dinode of the kernel's
// fs/xfs/libxfs/xfs_format.h). Numbers are big-endian, the checksum is not.
const (
	atFormat  = 5
	atAccess  = 32
	atModify  = 40
	atChange  = 48
	atSize    = 56
	atExtents = 76
	atFlags   = 90
	atSum     = 100
	atCreate  = 144
	atData    = 176

	magic      = 0x494e
	byExtents  = 2 // XFS_DINODE_FMT_EXTENTS
	reserved   = 2 // XFS_DIFLAG_PREALLOC
	extentSize = 16
	unwritten  = 0x80 // in the first byte of an extent
)

// An inode is one as it is on the disk.
type inode []byte

// change reads an inode, has something done to it, and writes it.
func (l *layer) change(number int64, do func(inode) error) error {
	bits := l.agblklog + l.inopblog
	group, within := number>>bits, number&(1<<bits-1)
	at := (group*l.agblocks+within>>l.inopblog)*(inodeSize<<l.inopblog) + within&(1<<l.inopblog-1)*inodeSize
	i := make(inode, inodeSize)
	if _, err := l.empty.ReadAt(i, at); err != nil {
		return err
	}
	if binary.BigEndian.Uint16(i) != magic || i.sum() != binary.LittleEndian.Uint32(i[atSum:]) {
		return fmt.Errorf("inode %d is not where it should be", number)
	}
	if err := do(i); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(i[atSum:], i.sum())
	_, err := l.empty.WriteAt(i, at)
	return err
}

// sum is the checksum, as if it were none.
func (i inode) sum() uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, i[:atSum])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, i[atSum+4:])
}

// dated has an inode be of the time of all.
func (l *layer) dated(i inode) error {
	for _, at := range []int{atAccess, atModify, atChange, atCreate} {
		i.put(at, l.Time)
	}
	return nil
}

func (i inode) put(at int, t time.Time) {
	binary.BigEndian.PutUint32(i[at:], uint32(t.Unix()))
	binary.BigEndian.PutUint32(i[at+4:], 0)
}

// hold says that a file has so many bytes, and that the room reserved for them was
// written to.
func (i inode) hold(size int64) error {
	n := int(binary.BigEndian.Uint32(i[atExtents:]))
	if i[atFormat] != byExtents || atData+n*extentSize > inodeSize {
		return errors.New("it lies in too many places; make the partition larger, or take ext4")
	}
	binary.BigEndian.PutUint64(i[atSize:], uint64(size))
	binary.BigEndian.PutUint16(i[atFlags:], binary.BigEndian.Uint16(i[atFlags:])&^reserved)
	for e := range n {
		i[atData+e*extentSize] &^= unwritten
	}
	return nil
}
