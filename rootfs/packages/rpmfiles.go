package packages

import (
	"encoding/binary"
	"errors"
	"fmt"
)

var errNDB = errors.New("the ndb file is damaged")

// ndbBlobs calls do with the headers in a Packages.db of rpm's own format: a table of
// slots, each with where a package's blob lies, in blocks of 16 bytes; numbers
// are little-endian (rpm's lib/backend/ndb/rpmpkg.c).
func ndbBlobs(data []byte, do func([]byte) error) error {
	const (
		head, slot = 32, 16
		page       = 4096
	)
	u32 := func(at int64) int64 { return int64(binary.LittleEndian.Uint32(data[at:])) }
	if len(data) < page || string(data[:4]) != "RpmP" {
		return errors.New("not an ndb file")
	}
	end, total := u32(12)*page, int64(len(data))
	if end > total || end < page {
		return errNDB
	}
	for at := int64(head); at+slot <= end; at += slot {
		if string(data[at:at+4]) != "Slot" {
			return errNDB
		}
		index, offset, blocks := u32(at+4), u32(at+8)*16, u32(at+12)*16
		if index == 0 {
			continue
		}
		if offset < end || blocks < slot || offset+blocks > total || string(data[offset:offset+4]) != "BlbS" || u32(offset+4) != index {
			return errNDB
		}
		length := u32(offset + 12)
		if length > blocks-slot {
			return errNDB
		}
		if err := do(data[offset+slot : offset+slot+length]); err != nil {
			return err
		}
	}
	return nil
}

var errBDB = errors.New("the Berkeley DB file is damaged")

// A bdb is a Berkeley DB hash file: pages, each with a header of 26 bytes
// (libdb's src/dbinc/db_page.h).
type bdb struct {
	data  []byte
	size  int
	order binary.ByteOrder
	seen  []bool // overflow pages that were read, each of which is in one chain
}

const (
	bdbMagic    = 0x061561
	bdbHead     = 26
	bdbUnsorted = 2  // page of a hash, before libdb 4.6
	bdbSorted   = 13 // and after
	bdbOverflow = 7
	bdbOffPage  = 3 // item whose data is in a chain of overflow pages
	bdbInPage   = 1
)

// bdbBlobs calls do with the values in a Packages file. Their keys are numbers;
// that of key 0 is a counter and no header.
func bdbBlobs(data []byte, do func([]byte) error) error {
	db, err := openBDB(data)
	if err != nil {
		return err
	}
	for n := 1; n < len(db.seen); n++ {
		page := db.data[n*db.size : (n+1)*db.size]
		if kind := page[25]; kind != bdbUnsorted && kind != bdbSorted {
			continue
		}
		entries := int(db.order.Uint16(page[20:]))
		if bdbHead+2*entries > len(page) {
			return errBDB
		}
		for i := 1; i < entries; i += 2 { // keys and values by turns
			value, err := db.value(page, i)
			if err == nil && len(value) >= 8 {
				err = do(value)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func openBDB(data []byte) (*bdb, error) {
	if len(data) < 512 {
		return nil, errors.New("not a Berkeley DB file")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(data[12:]) != bdbMagic {
		order = binary.BigEndian
	}
	if order.Uint32(data[12:]) != bdbMagic {
		return nil, errors.New("not a Berkeley DB hash file")
	}
	if data[24] != 0 {
		return nil, errors.New("the Berkeley DB file is encrypted")
	}
	size := order.Uint32(data[20:])
	if size < 512 || size > 1<<16 || size&(size-1) != 0 {
		return nil, fmt.Errorf("%w: pages of %d bytes", errBDB, size)
	}
	return &bdb{data: data, size: int(size), order: order, seen: make([]bool, len(data)/int(size))}, nil
}

// value returns the i-th item of a page of the hash.
func (db *bdb) value(page []byte, i int) ([]byte, error) {
	at, end := int(db.order.Uint16(page[bdbHead+2*i:])), int(db.order.Uint16(page[bdbHead+2*i-2:]))
	if at < bdbHead || end > len(page) || at >= end {
		return nil, errBDB
	}
	switch item := page[at:end]; {
	case item[0] == bdbInPage:
		return item[1:], nil
	case item[0] == bdbOffPage && len(item) >= 12:
		return db.chain(db.order.Uint32(item[4:]), db.order.Uint32(item[8:]))
	}
	return nil, errBDB
}

// chain puts together what a chain of overflow pages holds.
func (db *bdb) chain(n, length uint32) (out []byte, err error) {
	for n != 0 && uint64(len(out)) < uint64(length) {
		if uint64(n) >= uint64(len(db.seen)) || db.seen[n] {
			return nil, errBDB
		}
		db.seen[n] = true
		page := db.data[int(n)*db.size : (int(n)+1)*db.size]
		used := int(db.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || bdbHead+used > len(page) {
			return nil, errBDB
		}
		out, n = append(out, page[bdbHead:bdbHead+used]...), db.order.Uint32(page[16:])
	}
	if uint64(len(out)) != uint64(length) {
		return nil, errBDB
	}
	return out, nil
}
