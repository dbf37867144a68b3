package rootfs

import "encoding/binary"

// An Entry is one name of a directory.
type Entry struct {
	Name string
	ref  uint64
}

// maxListing bounds a directory's listing: a million short names.
const maxListing = 64 << 20

// ReadDir lists a directory, sorted by name as the format keeps it.
func (r *Reader) ReadDir(dir *Inode) ([]Entry, error) {
	var list []Entry
	err := r.walk(dir, func(e Entry) bool {
		list = append(list, e)
		return true
	})
	return list, err
}

// Inode reads what an entry names.
func (r *Reader) Inode(e Entry) (Inode, error) { return r.inode(e.ref) }

// Lookup finds a name in a directory.
func (r *Reader) Lookup(dir *Inode, name string) (Inode, bool, error) {
	var found *Entry
	err := r.walk(dir, func(e Entry) bool {
		if e.Name == name {
			found = &e
		}
		return e.Name < name
	})
	if err != nil || found == nil {
		return Inode{}, false, err
	}
	i, err := r.inode(found.ref)
	return i, err == nil, err
}

// walk calls visit for each entry until it returns false.
func (r *Reader) walk(dir *Inode, visit func(Entry) bool) error {
	switch {
	case dir.kind != typeDir:
		return corrupt("listing what is no directory")
	case dir.dirSize <= 3:
		return nil
	case dir.dirSize > maxListing:
		return corrupt("directory listing of %d bytes", dir.dirSize)
	}
	s, err := r.stream(int64(r.super.DirTable)+int64(dir.dirBlock), int(dir.dirOffset))
	if err != nil {
		return err
	}
	// the recorded size counts 3 bytes for . and .. that are not stored
	left := int(dir.dirSize) - 3
	le := binary.LittleEndian
	for left > 0 {
		head, err := s.take(12)
		if err != nil {
			return err
		}
		left -= 12
		count, start := le.Uint32(head), uint64(le.Uint32(head[4:]))
		if count > 255 {
			return corrupt("directory header of %d entries", count)
		}
		for n := uint32(0); n <= count; n++ {
			e, size, err := s.entry(start)
			if err != nil {
				return err
			}
			left -= size
			if !visit(e) {
				return nil
			}
		}
	}
	return nil
}

func (s *stream) entry(start uint64) (Entry, int, error) {
	head, err := s.take(8)
	if err != nil {
		return Entry{}, 0, err
	}
	le := binary.LittleEndian
	offset, length := uint64(le.Uint16(head)), int(le.Uint16(head[6:]))+1
	if length > 256 {
		return Entry{}, 0, corrupt("name of %d bytes", length)
	}
	name, err := s.take(length)
	return Entry{Name: string(name), ref: start<<16 | offset}, 8 + length, err
}
