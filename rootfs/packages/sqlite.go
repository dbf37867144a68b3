package packages

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
)

// An sqlite file is a number of pages; a table is a tree of them, its rows in
// the leaves, and what a row has too much of in a chain of pages. This is the
// little of "Database File Format" (sqlite.org/fileformat2.html) that reading
// one table of blobs from the first row to the last takes.
type sqlite struct {
	data   []byte
	log    map[uint32][]byte // newer pages, from the write-ahead log
	size   int               // of a page
	usable int               // of that
	// seen are pages that were read: none belongs in two places, and so no
	// damage makes the reading endless.
	seen []bool
	// whole is the row that was put together last.
	whole []byte
}

const (
	sqliteInterior = 0x05
	sqliteLeaf     = 0x0d
	// sqliteDepth bounds the trees; a real one of this depth would be larger
	// than any file.
	sqliteDepth = 20
)

var errSQLite = errors.New("the sqlite file is damaged")

// sqliteBlobs calls do, which must keep none of it, with the second column of a
// table's rows, as rpm has it: a number, which is the row's own, and a blob. wal
// is the file's write-ahead log, nil if there is none.
func sqliteBlobs(data, wal []byte, table string, do func([]byte) error) error {
	db, err := openSQLite(data, wal)
	if err != nil {
		return err
	}
	root := uint32(0)
	err = db.rows(1, 0, func(row []byte) error {
		columns, err := record(row)
		if err != nil || len(columns) < 4 || string(columns[0]) != "table" || string(columns[1]) != table {
			return err
		}
		root = uint32(number(columns[3]))
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return fmt.Errorf("the sqlite file has no table %s", table)
	}
	return db.rows(root, 0, func(row []byte) error {
		columns, err := record(row)
		if err != nil || len(columns) < 2 {
			return errors.Join(err, errSQLite)
		}
		return do(columns[1])
	})
}

func openSQLite(data, wal []byte) (*sqlite, error) {
	if len(data) < 100 || !bytes.HasPrefix(data, []byte("SQLite format 3\x00")) {
		return nil, errors.New("not an sqlite file")
	}
	size := int(binary.BigEndian.Uint16(data[16:]))
	if size == 1 {
		size = 1 << 16
	}
	if size < 512 || size&(size-1) != 0 || int(data[20]) > size-480 {
		return nil, errSQLite
	}
	db := &sqlite{data: data, log: readWAL(wal, size), size: size, usable: size - int(data[20])}
	db.seen = make([]bool, (len(data)+len(wal))/size+1)
	return db, nil
}

// readWAL returns the pages of a write-ahead log as the last transaction in it
// left them. A log that was begun anew has frames of an older one behind its
// own, which other salts tell apart; one that is no log has no pages.
func readWAL(wal []byte, size int) map[uint32][]byte {
	const head, frame = 32, 24
	if len(wal) < head || binary.BigEndian.Uint32(wal)&^1 != 0x377f0682 || int(binary.BigEndian.Uint32(wal[8:])) != size {
		return nil
	}
	pages, pending := map[uint32][]byte{}, map[uint32][]byte{}
	salts := wal[16:24]
	for rest := wal[head:]; len(rest) >= frame+size && bytes.Equal(rest[8:16], salts); rest = rest[frame+size:] {
		pending[binary.BigEndian.Uint32(rest)] = rest[frame : frame+size]
		if binary.BigEndian.Uint32(rest[4:]) != 0 { // the last of a transaction
			maps.Copy(pages, pending)
			clear(pending)
		}
	}
	return pages
}

// page returns a page that was not read before.
func (db *sqlite) page(n uint32) ([]byte, error) {
	if n == 0 || uint64(n) >= uint64(len(db.seen)) || db.seen[n] {
		return nil, errSQLite
	}
	db.seen[n] = true
	if newer := db.log[n]; newer != nil {
		return newer[:db.usable], nil
	}
	at := int(n-1) * db.size
	if at+db.size > len(db.data) {
		return nil, errSQLite
	}
	return db.data[at : at+db.usable], nil
}

// rows calls do with every row of the tree below a page. A row is overwritten
// by the next one.
func (db *sqlite) rows(n uint32, depth int, do func([]byte) error) error {
	page, err := db.page(n)
	if err != nil || depth > sqliteDepth {
		return errors.Join(err, errSQLite)
	}
	head := 0
	if n == 1 {
		head = 100 // the file's own header comes first
	}
	kind, cells, at := page[head], int(binary.BigEndian.Uint16(page[head+3:])), head+8
	if kind == sqliteInterior {
		at += 4
	}
	if kind != sqliteInterior && kind != sqliteLeaf || at+2*cells > len(page) {
		return errSQLite
	}
	for i := range cells {
		cell := int(binary.BigEndian.Uint16(page[at+2*i:]))
		if cell+4 > len(page) {
			return errSQLite
		}
		if kind == sqliteInterior {
			err = db.rows(binary.BigEndian.Uint32(page[cell:]), depth+1, do)
		} else {
			err = db.row(page[cell:], do)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return db.rows(binary.BigEndian.Uint32(page[head+8:]), depth+1, do)
	}
	return nil
}

// row puts together what a cell of a leaf and its overflow pages hold.
func (db *sqlite) row(cell []byte, do func([]byte) error) error {
	length, n := varint(cell)
	_, m := varint(cell[n:]) // the row's number
	if n == 0 || m == 0 || length > uint64(len(db.seen)*db.size) {
		return errSQLite
	}
	cell = cell[n+m:]
	total, local := int(length), db.local(int(length))
	if total == local {
		if len(cell) < local {
			return errSQLite
		}
		return do(cell[:local])
	}
	if len(cell) < local+4 {
		return errSQLite
	}
	row, next := append(db.whole[:0], cell[:local]...), binary.BigEndian.Uint32(cell[local:])
	for len(row) < total {
		page, err := db.page(next)
		if err != nil {
			return err
		}
		row, next = append(row, page[4:min(len(page), 4+total-len(row))]...), binary.BigEndian.Uint32(page)
	}
	db.whole = row
	return do(row)
}

// local is how much of a row is in its leaf.
func (db *sqlite) local(total int) int {
	most, least := db.usable-35, (db.usable-12)*32/255-23
	if total <= most {
		return total
	}
	if k := least + (total-least)%(db.usable-4); k <= most {
		return k
	}
	return least
}

// record splits a row into its columns' bytes.
func record(row []byte) (columns [][]byte, err error) {
	length, n := varint(row)
	if n == 0 || length > uint64(len(row)) || length < uint64(n) {
		return nil, errSQLite
	}
	types, body := row[n:length], row[length:]
	for len(types) > 0 {
		kind, n := varint(types)
		size := columnSize(kind)
		if n == 0 || size > uint64(len(body)) {
			return nil, errSQLite
		}
		columns = append(columns, body[:size])
		types, body = types[n:], body[size:]
	}
	return columns, nil
}

func columnSize(kind uint64) uint64 {
	if kind >= 12 {
		return (kind - 12) / 2
	}
	return [12]uint64{0, 1, 2, 3, 4, 6, 8, 8}[kind]
}

// number reads a big-endian number of up to eight bytes.
func number(b []byte) (n uint64) {
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}

// varint reads sqlite's variable-length number, and says how long it was; 0 if
// it is cut.
func varint(b []byte) (v uint64, n int) {
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		if n++; b[n-1] < 0x80 {
			return v, n
		}
	}
	if n < len(b) && n == 8 {
		return v<<8 | uint64(b[8]), 9
	}
	return 0, 0
}
