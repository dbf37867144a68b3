package rootfs

import "encoding/binary"

const (
	xattrOutOfLine = 0x100
	maxXattrs      = 1 << 12
	maxXattrValue  = 1 << 16
)

// prefixes are the names of the spaces that attributes are stored in.
var prefixes = [...]string{"user.", "trusted.", "security."}

// IsOpaque reports whether a directory hides those of the layers below it:
// whether it has trusted.overlay.opaque=y.
func (r *Reader) IsOpaque(dir *Inode) (bool, error) {
	opaque := false
	err := r.eachXattr(dir, func(name string, value []byte) bool {
		opaque = name == "trusted.overlay.opaque" && string(value) == "y"
		return !opaque
	})
	return opaque, err
}

// Xattrs returns a file's extended attributes, nil if it has none.
func (r *Reader) Xattrs(i *Inode) (map[string]string, error) {
	var all map[string]string
	err := r.eachXattr(i, func(name string, value []byte) bool {
		if all == nil {
			all = make(map[string]string)
		}
		all[name] = string(value)
		return true
	})
	return all, err
}

// eachXattr calls do for each attribute until it returns false.
func (r *Reader) eachXattr(i *Inode, do func(name string, value []byte) bool) error {
	if i.xattr == none32 || r.super.XattrTable == none64 {
		return nil
	}
	le := binary.LittleEndian
	var head [16]byte
	table := int64(r.super.XattrTable)
	if table < 0 {
		return corrupt("xattr table at %d", table)
	}
	if _, err := r.file.ReadAt(head[:], table); err != nil {
		return corrupt("reading the xattr table: %v", err)
	}
	keys := int64(le.Uint64(head[:]))
	if total := le.Uint32(head[8:]); i.xattr >= total {
		return corrupt("xattr set %d of %d", i.xattr, total)
	}
	var at [8]byte
	if _, err := r.file.ReadAt(at[:], table+16+8*int64(i.xattr/512)); err != nil {
		return corrupt("reading the xattr index: %v", err)
	}
	s, err := r.stream(int64(le.Uint64(at[:])), int(i.xattr%512)*16)
	if err != nil {
		return err
	}
	set, err := s.take(16)
	if err != nil {
		return err
	}
	return r.eachInSet(keys, le.Uint64(set), le.Uint32(set[8:]), do)
}

func (r *Reader) eachInSet(keys int64, ref uint64, count uint32, do func(string, []byte) bool) error {
	if count > maxXattrs {
		return corrupt("%d xattrs in one set", count)
	}
	s, err := r.stream(keys+int64(ref>>16), int(ref&0xffff))
	if err != nil {
		return err
	}
	for ; count > 0; count-- {
		name, value, err := r.oneXattr(s, keys)
		if err != nil || !do(name, value) {
			return err
		}
	}
	return nil
}

func (r *Reader) oneXattr(s *stream, keys int64) (name string, value []byte, err error) {
	le := binary.LittleEndian
	head, err := s.take(4)
	if err != nil {
		return "", nil, err
	}
	kind, length := le.Uint16(head), int(le.Uint16(head[2:]))
	space := int(kind &^ xattrOutOfLine)
	if space >= len(prefixes) {
		return "", nil, corrupt("xattr of kind %d", space)
	}
	key, err := s.take(length)
	if err != nil {
		return "", nil, err
	}
	name = prefixes[space] + string(key)
	value, err = s.xattrValue()
	if err == nil && kind&xattrOutOfLine != 0 {
		value, err = r.outOfLine(keys, value)
	}
	return name, value, err
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
