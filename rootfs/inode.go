package rootfs

import (
	"encoding/binary"
	"io/fs"
)

const (
	typeDir = iota + 1
	typeFile
	typeSymlink
	typeBlock
	typeChar
	typeFifo
	typeSocket
	// an extended inode's type is its basic one plus extended
	extended = 7
)

// maxTarget is the longest symbolic link that Linux knows.
const maxTarget = 4096

// An Inode is a file of any kind.
type Inode struct {
	kind uint16
	perm fs.FileMode
	// indexes into the table of user and group numbers
	uid, gid uint16
	// Size is a regular file's length in bytes.
	Size int64
	// Device is the number of a device node as the kernel's
	// new_encode_dev writes it; 0 is 0/0.
	Device uint32
	// Target is what a symbolic link holds.
	Target string
	// ModTime is in seconds since 1970.
	ModTime uint32

	// ref is where the inode is, names how many it has.
	ref   uint64
	names uint32

	xattr uint32
	// a directory's listing
	dirBlock, dirSize uint32
	dirOffset         uint16
	indexes           uint16 // entries that follow the inode
	// a file's data
	start              int64
	fragment, fragmOff uint32
	sizes              *stream
}

// Mode returns type and permissions.
func (i *Inode) Mode() fs.FileMode {
	switch i.kind {
	case typeDir:
		return i.perm | fs.ModeDir
	case typeSymlink:
		return i.perm | fs.ModeSymlink
	case typeBlock:
		return i.perm | fs.ModeDevice
	case typeChar:
		return i.perm | fs.ModeDevice | fs.ModeCharDevice
	case typeFifo:
		return i.perm | fs.ModeNamedPipe
	case typeSocket:
		return i.perm | fs.ModeSocket
	}
	return i.perm
}

// permissions turns the low 12 bits of st_mode into Go's form.
func permissions(mode uint16) fs.FileMode {
	perm := fs.FileMode(mode & 0o777)
	for bit, flag := range map[uint16]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&bit != 0 {
			perm |= flag
		}
	}
	return perm
}

// IsWhiteout reports whether i is overlayfs's mark for a removed name.
func (i *Inode) IsWhiteout() bool { return i.kind == typeChar && i.Device == 0 }

func (r *Reader) inode(ref uint64) (Inode, error) {
	s, err := r.stream(int64(r.super.InodeTable+ref>>16), int(ref&0xffff))
	if err != nil {
		return Inode{}, err
	}
	i, err := readInode(s)
	i.ref = ref
	return i, err
}

// readInode reads the inode at which a stream stands. A file's sizes are left to be
// read.
func readInode(s *stream) (Inode, error) {
	head, err := s.take(16)
	if err != nil {
		return Inode{}, err
	}
	le := binary.LittleEndian
	kind := le.Uint16(head)
	i := Inode{kind: kind, perm: permissions(le.Uint16(head[2:])), uid: le.Uint16(head[4:]), gid: le.Uint16(head[6:]),
		ModTime: le.Uint32(head[8:]), xattr: none32}
	ext := kind > extended
	if ext {
		i.kind -= extended
	}
	switch i.kind {
	case typeDir:
		err = i.readDir(s, ext)
	case typeFile:
		err = i.readFile(s, ext)
	case typeSymlink:
		err = i.readSymlink(s, ext)
	case typeBlock, typeChar:
		err = i.readDevice(s, ext)
	case typeFifo, typeSocket:
	default:
		err = corrupt("inode of type %d", kind)
	}
	return i, err
}

func (i *Inode) readDir(s *stream, ext bool) error {
	le := binary.LittleEndian
	if !ext {
		b, err := s.take(16)
		if err != nil {
			return err
		}
		i.dirBlock, i.dirSize, i.dirOffset = le.Uint32(b), uint32(le.Uint16(b[8:])), le.Uint16(b[10:])
		return nil
	}
	b, err := s.take(24)
	if err != nil {
		return err
	}
	i.dirSize, i.dirBlock = le.Uint32(b[4:]), le.Uint32(b[8:])
	i.indexes, i.dirOffset, i.xattr = le.Uint16(b[16:]), le.Uint16(b[18:]), le.Uint32(b[20:])
	return nil
}

func (i *Inode) readFile(s *stream, ext bool) error {
	le := binary.LittleEndian
	if ext {
		b, err := s.take(40)
		if err != nil {
			return err
		}
		i.start, i.Size = int64(le.Uint64(b)), int64(le.Uint64(b[8:]))
		i.names = le.Uint32(b[24:])
		i.fragment, i.fragmOff, i.xattr = le.Uint32(b[28:]), le.Uint32(b[32:]), le.Uint32(b[36:])
	} else {
		b, err := s.take(16)
		if err != nil {
			return err
		}
		i.start, i.Size = int64(le.Uint32(b)), int64(le.Uint32(b[12:]))
		i.fragment, i.fragmOff = le.Uint32(b[4:]), le.Uint32(b[8:])
	}
	if i.Size < 0 || i.start < 0 {
		return corrupt("file of %d bytes at %d", i.Size, i.start)
	}
	i.sizes = s
	return nil
}

func (i *Inode) readSymlink(s *stream, ext bool) error {
	b, err := s.take(8)
	if err != nil {
		return err
	}
	i.names = binary.LittleEndian.Uint32(b)
	n := binary.LittleEndian.Uint32(b[4:])
	if n > maxTarget {
		return corrupt("symbolic link of %d bytes", n)
	}
	target, err := s.take(int(n))
	if err != nil {
		return err
	}
	i.Target = string(target)
	if ext {
		return i.readXattr(s)
	}
	return nil
}

func (i *Inode) readDevice(s *stream, ext bool) error {
	b, err := s.take(8)
	if err != nil {
		return err
	}
	i.names, i.Device = binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if ext {
		return i.readXattr(s)
	}
	return nil
}

func (i *Inode) readXattr(s *stream) error {
	b, err := s.take(4)
	if err != nil {
		return err
	}
	i.xattr = binary.LittleEndian.Uint32(b)
	return nil
}
