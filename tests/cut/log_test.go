package cut

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

const sectorSize = 512

// The form of a log: a superblock, then of each entry a sector that describes it
// and, if it is a write, its data.
const (
	logMagic     = 0x6a736677736872
	flushFlag    = 1
	fuaFlag      = 2
	discardFlag  = 4
	countAt      = 16
	sectorSizeAt = 24
)

// A write is a number of sectors that went to the disk. A discarded one reads as
// zeros.
type write struct {
	sector int64
	data   []byte
}

func (w write) sectors() int { return len(w.data) / sectorSize }

// An epoch is what was written between two flushes. The disk may keep any part of
// it, in any order, when the power goes; all before it is kept.
type epoch struct {
	writes []write
	// entries is how many of the log's entries there are up to its flush.
	entries int
}

// entries returns how many entries a log has that is being written, none of "".
func entries(path string) (int, error) {
	if path == "" {
		return 0, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var super [sectorSize]byte
	if _, err := f.ReadAt(super[:], 0); err != nil {
		return 0, err
	}
	if super == [sectorSize]byte{} { // nothing was flushed yet
		return 0, nil
	}
	if binary.LittleEndian.Uint64(super[:]) != logMagic || binary.LittleEndian.Uint32(super[sectorSizeAt:]) != sectorSize {
		return 0, fmt.Errorf("%s is no log of writes by sectors of %d bytes", path, sectorSize)
	}
	return int(binary.LittleEndian.Uint64(super[countAt:])), nil
}

// readLog returns the epochs of a log, in order.
func readLog(path string) (list []epoch, err error) {
	count, err := entries(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := io.NewSectionReader(f, sectorSize, 1<<62)
	var now epoch
	for n := 1; n <= count; n++ {
		var head [sectorSize]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil, fmt.Errorf("entry %d: %w", n, err)
		}
		sector, sectors := binary.LittleEndian.Uint64(head[:]), binary.LittleEndian.Uint64(head[8:])
		flags := binary.LittleEndian.Uint64(head[16:])
		if flags&flushFlag != 0 || flags&fuaFlag != 0 {
			now.entries = n
			list = append(list, now)
			now = epoch{}
		}
		if sectors == 0 {
			continue
		}
		w := write{sector: int64(sector), data: make([]byte, sectors*sectorSize)}
		if flags&discardFlag == 0 {
			if _, err := io.ReadFull(in, w.data); err != nil {
				return nil, fmt.Errorf("entry %d: %w", n, err)
			}
		}
		now.writes = append(now.writes, w)
		if flags&fuaFlag != 0 {
			return nil, errors.New("a write by itself is a flush: teach readLog of it")
		}
	}
	now.entries = count
	return append(list, now), nil
}
