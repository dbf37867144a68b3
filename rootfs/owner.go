package rootfs

import "encoding/binary"

// idsPerBlock is how many numbers one metadata block of the id table holds.
const idsPerBlock = 8192 / 4

// Owner returns the user and group numbers of a file. They are kept in a
// table of their own: IDTable points to a list of metadata blocks.
func (r *Reader) Owner(i *Inode) (uid, gid int, err error) {
	if uid, err = r.id(i.uid); err == nil {
		gid, err = r.id(i.gid)
	}
	return uid, gid, err
}

func (r *Reader) id(index uint16) (int, error) {
	if index >= r.super.IDs {
		return 0, corrupt("owner %d of %d", index, r.super.IDs)
	}
	var pointer [8]byte
	if _, err := r.file.ReadAt(pointer[:], int64(r.super.IDTable)+int64(index/idsPerBlock)*8); err != nil {
		return 0, corrupt("no table of owners: %v", err)
	}
	s, err := r.stream(int64(binary.LittleEndian.Uint64(pointer[:])), int(index%idsPerBlock)*4)
	if err != nil {
		return 0, err
	}
	raw, err := s.take(4)
	if err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint32(raw)), nil
}
