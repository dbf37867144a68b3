package rootfs

import "encoding/binary"

const (
	xattrTrusted   = 1
	xattrOutOfLine = 0x100
	maxXattrs      = 1 << 12
	maxXattrValue  = 1 << 16
)

// IsOpaque reports whether a directory hides those of the layers below it:
// whether it has trusted.overlay.opaque=y.
func (r *Reader) IsOpaque(dir *Inode) (bool, error) {
	if dir.xattr == none32 || r.super.XattrTable == none64 {
		return false, nil
	}
	value, err := r.xattr(dir.xattr, xattrTrusted, "overlay.opaque")
	return string(value) == "y", err
}

// xattr returns a value of the set with index id, nil if it isn't there.
func (r *Reader) xattr(id uint32, prefix uint16, name string) ([]byte, error) {
	le := binary.LittleEndian
	var head [16]byte
	table := int64(r.super.XattrTable)
	if table < 0 {
		return nil, corrupt("xattr table at %d", table)
	}
	if _, err := r.file.ReadAt(head[:], table); err != nil {
		return nil, corrupt("reading the xattr table: %v", err)
	}
	keys := int64(le.Uint64(head[:]))
	if total := le.Uint32(head[8:]); id >= total {
		return nil, corrupt("xattr set %d of %d", id, total)
	}
	var at [8]byte
	if _, err := r.file.ReadAt(at[:], table+16+8*int64(id/512)); err != nil {
		return nil, corrupt("reading the xattr index: %v", err)
	}
	s, err := r.stream(int64(le.Uint64(at[:])), int(id%512)*16)
	if err != nil {
		return nil, err
	}
	set, err := s.take(16)
	if err != nil {
		return nil, err
	}
	return r.xattrInSet(keys, le.Uint64(set), le.Uint32(set[8:]), prefix, name)
}

func (r *Reader) xattrInSet(keys int64, ref uint64, count uint32, prefix uint16, name string) ([]byte, error) {
	if count > maxXattrs {
		return nil, corrupt("%d xattrs in one set", count)
	}
	s, err := r.stream(keys+int64(ref>>16), int(ref&0xffff))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	for ; count > 0; count-- {
		head, err := s.take(4)
		if err != nil {
			return nil, err
		}
		kind := le.Uint16(head)
		key, err := s.take(int(le.Uint16(head[2:])))
		if err != nil {
			return nil, err
		}
		value, err := s.xattrValue()
		if err != nil {
			return nil, err
		}
		if kind&^xattrOutOfLine != prefix || string(key) != name {
			continue
		}
		if kind&xattrOutOfLine == 0 {
			return value, nil
		}
		return r.outOfLine(keys, value)
	}
	return nil, nil
}

func (s *stream) xattrValue() ([]byte, error) {
	b, err := s.take(4)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxXattrValue {
		return nil, corrupt("xattr value of %d bytes", n)
	}
	return s.take(int(n))
}

// outOfLine reads a value that several sets share; ref is its position.
func (r *Reader) outOfLine(keys int64, ref []byte) ([]byte, error) {
	if len(ref) != 8 {
		return nil, corrupt("xattr reference of %d bytes", len(ref))
	}
	at := binary.LittleEndian.Uint64(ref)
	s, err := r.stream(keys+int64(at>>16), int(at&0xffff))
	if err != nil {
		return nil, err
	}
	return s.xattrValue()
}
