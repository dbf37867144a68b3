// Package mdraid reads the superblocks that the kernel's md (software RAID) keeps on
// each member of an array: metadata 0.90 and 1.0, 1.1, 1.2. It writes nothing.
//
// The forms are those of include/uapi/linux/raid/md_p.h, where they lie is in the
// kernel's drivers/md/md.c.
//
// It reads what may lie on any disk, so it trusts nothing: whatever the bytes are, the
// result is a member or an error, never a panic.
package mdraid

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	magic      = 0xa92b4efc
	sector     = 512
	superBytes = 4096
	// maxDisks is what md can count.
	maxDisks = 1024
)

var le = binary.LittleEndian

// ErrNone says that a device is no member of an array of md's.
var ErrNone = errors.New("it is no member of a software RAID")

// A Member is what the superblock of one says of itself and its array.
type Member struct {
	// UUID is the array's, as blkid(8) writes it.
	UUID string
	// Version of the metadata, minor ones included: 0.90, 1.2.
	Major, Minor int
	// Level is the kind of RAID, 1 for mirrors.
	Level int
	// Disks is how many the array has when it is whole.
	Disks int
	// Active is how many had it when this was written.
	Active int
	// Role is the place in it, -1 of what is spare or failed.
	Role int
	// Events counts changes of the array; a member that has fewer was left behind.
	Events uint64
	// Number is the device's that the array would like to be, /dev/md0, or -1.
	Number int
}

// Read reads the superblock of a device of so many bytes.
func Read(dev io.ReaderAt, size int64) (*Member, error) {
	sectors := size / sector
	ends := (sectors - 16) &^ 7 // 1.0: 8 to 12 KB before the end, at a multiple of 4 KB
	var damaged error
	for minor, at := range []int64{ends, 0, 8} {
		m, err := readOne(dev, at, minor)
		if err == nil {
			return m, nil
		}
		if !errors.Is(err, ErrNone) {
			damaged = err
		}
	}
	// 0.90: 64 to 128 KB before the end, at a multiple of 64 KB
	m, err := readOld(dev, sectors&^127-128)
	if errors.Is(err, ErrNone) && damaged != nil {
		return nil, damaged
	}
	return m, err
}

func superblock(dev io.ReaderAt, at int64) ([]byte, error) {
	b := make([]byte, superBytes)
	if at < 0 {
		return nil, ErrNone
	}
	if _, err := dev.ReadAt(b, at*sector); err != nil || le.Uint32(b) != magic {
		return nil, ErrNone
	}
	return b, nil
}

// readOne reads metadata 1.x, as struct mdp_superblock_1 has it.
func readOne(dev io.ReaderAt, at int64, minor int) (*Member, error) {
	b, err := superblock(dev, at)
	if err != nil || le.Uint32(b[4:]) != 1 || le.Uint64(b[144:]) != uint64(at) {
		return nil, ErrNone
	}
	roles := le.Uint32(b[220:])
	if roles > (superBytes-256)/2 {
		return nil, errors.New("the superblock of a software RAID has more disks than there are")
	}
	sum := le.Uint32(b[216:])
	le.PutUint32(b[216:], 0)
	if folded(b[:256+2*roles]) != sum {
		return nil, errors.New("the superblock of a software RAID is damaged")
	}
	m := &Member{UUID: uuid(b[16:32]), Major: 1, Minor: minor, Level: int(int32(le.Uint32(b[72:]))), Role: -1, Events: le.Uint64(b[200:])}
	if m.Disks, err = disks(b[92:]); err != nil {
		return nil, err
	}
	for n := range roles {
		const other = 0xfffd // and above: a journal, failed or lacking, spare
		role := le.Uint16(b[256+2*n:])
		if role >= other {
			continue
		}
		m.Active++
		if n == le.Uint32(b[160:]) {
			m.Role = int(role)
		}
	}
	name, _, _ := strings.Cut(string(b[32:64]), "\x00")
	m.Number = number(name[strings.LastIndexByte(name, ':')+1:])
	return m, nil
}

// readOld reads metadata 0.90 of a machine of this byte order, as struct mdp_super_s
// has it.
func readOld(dev io.ReaderAt, at int64) (*Member, error) {
	b, err := superblock(dev, at)
	if err != nil || le.Uint32(b[4:]) != 0 || le.Uint32(b[8:]) < 90 {
		return nil, ErrNone
	}
	sum := le.Uint32(b[152:])
	le.PutUint32(b[152:], 0)
	if folded(b) != sum {
		return nil, errors.New("the superblock of a software RAID is damaged")
	}
	id := make([]byte, 16) // numbers of this byte order are written as such
	for i, at := range []int{20, 52, 56, 60} {
		binary.BigEndian.PutUint32(id[4*i:], le.Uint32(b[at:]))
	}
	m := &Member{UUID: uuid(id), Minor: 90, Level: int(int32(le.Uint32(b[28:]))), Role: -1, Number: number(strconv.FormatUint(uint64(le.Uint32(b[44:])), 10))}
	m.Events = uint64(le.Uint32(b[160:]))<<32 | uint64(le.Uint32(b[156:]))
	if m.Disks, err = disks(b[40:]); err != nil {
		return nil, err
	}
	m.Active = int(min(le.Uint32(b[136:]), maxDisks))
	const (
		this   = 992 * 4
		inSync = 1 << 2 // and active
	)
	if role := le.Uint32(b[this+12:]); le.Uint32(b[this+16:])&inSync != 0 && role < maxDisks {
		m.Role = int(role)
	}
	return m, nil
}

func disks(b []byte) (int, error) {
	n := le.Uint32(b)
	if n < 1 || n > maxDisks {
		return 0, fmt.Errorf("the superblock of a software RAID counts %d disks", n)
	}
	return int(n), nil
}

// number is that of a device /dev/mdN, -1 for other names.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 511 || strconv.Itoa(n) != text {
		return -1
	}
	return n
}

// folded is the sum of numbers of 32 bits, and perhaps one of 16, what overflows added.
func folded(b []byte) uint32 {
	sum := uint64(0)
	for ; len(b) >= 4; b = b[4:] {
		sum += uint64(le.Uint32(b))
	}
	if len(b) == 2 {
		sum += uint64(le.Uint16(b))
	}
	return uint32(sum) + uint32(sum>>32)
}

func uuid(b []byte) string {
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Check refuses arrays that process 1 cannot start.
func (m *Member) Check() error {
	if m.Level != 1 {
		return fmt.Errorf("it is a software RAID of level %d, and only mirrors, level 1, can be booted from", m.Level)
	}
	return nil
}
