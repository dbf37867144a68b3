package cut

import (
	"bytes"
	"errors"
	"hash/maphash"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A sum tells contents apart: two hashes, so that among millions none are equal
// by chance.
type sum [2]uint64

func (s sum) plus(o sum) sum  { return sum{s[0] + o[0], s[1] + o[1]} }
func (s sum) minus(o sum) sum { return sum{s[0] - o[0], s[1] - o[1]} }

// seeds are the process's, so that all disks' sums can be compared.
var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

var zeros [sectorSize]byte

// sumOf is the sum of a sector's content. Which sector it is, is not in it.
func sumOf(data []byte) sum {
	if bytes.Equal(data, zeros[:]) {
		return sum{}
	}
	return sum{maphash.Bytes(seeds[0], data), maphash.Bytes(seeds[1], data)}
}

// at makes a sector's sum one that can be added up.
func (s sum) at(sector int64) sum {
	if s == (sum{}) {
		return s
	}
	x := uint64(sector)*0x9e3779b97f4a7c15 + 1
	return sum{(s[0] ^ x) * 0xbf58476d1ce4e5b9, (s[1] ^ x) * 0x94d049bb133111eb}
}

// A disk is one as it was when it was flushed, base, and a second one that
// becomes what a cut may have left of it, work.
type disk struct {
	base []byte
	sums []sum // of base's sectors
	all  sum
	work []byte
	// file is work's, and device shows it as a disk.
	file, device *os.File
	// dirty is set when work is not base.
	dirty bool
}

// newDisk gives the disk of an image, with its second one in dir, which should be
// in memory.
func newDisk(dir, image string) (*disk, error) {
	in, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, err
	}
	d := &disk{sums: make([]sum, info.Size()/sectorSize)}
	if d.file, err = os.Create(filepath.Join(dir, "work")); err != nil {
		return nil, err
	}
	if err := d.file.Truncate(info.Size()); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if d.work, err = unix.Mmap(int(d.file.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if d.base, err = unix.Mmap(-1, 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := extents(int(in.Fd()), func(from, to int64) error {
		if _, err := in.ReadAt(d.base[from:to], from); err != nil {
			return err
		}
		copy(d.work[from:to], d.base[from:to])
		for s := from / sectorSize; s < to/sectorSize; s++ {
			d.sums[s] = sumOf(d.sector(s))
			d.all = d.all.plus(d.sums[s].at(s))
		}
		return nil
	}); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if d.device, err = attach(d.file); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *disk) sector(s int64) []byte { return d.base[s*sectorSize : (s+1)*sectorSize] }

func (d *disk) close() (err error) {
	if d.device != nil {
		err = d.device.Close()
	}
	for _, m := range [][]byte{d.work, d.base} {
		if m != nil {
			err = errors.Join(err, unix.Munmap(m))
		}
	}
	return errors.Join(err, d.file.Close(), os.Remove(d.file.Name()))
}

// renew shows work as another device.
func (d *disk) renew() error {
	before := d.device
	device, err := attach(d.file)
	if err != nil {
		return err
	}
	d.device = device
	return before.Close()
}

// extents calls do with each part of a file that has data.
func extents(fd int, do func(from, to int64) error) error {
	for at := int64(0); ; {
		from, err := unix.Seek(fd, at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = unix.Seek(fd, from, unix.SEEK_HOLE); err != nil {
			return err
		}
		if err := do(from, at); err != nil {
			return err
		}
	}
}

// advance makes the base what it is after a flush.
func (d *disk) advance(writes []write) {
	for _, w := range writes {
		for i := range w.sectors() {
			s, data := w.sector+int64(i), w.data[i*sectorSize:(i+1)*sectorSize]
			d.all = d.all.minus(d.sums[s].at(s))
			copy(d.sector(s), data)
			copy(d.work[s*sectorSize:], data)
			d.sums[s] = sumOf(data)
			d.all = d.all.plus(d.sums[s].at(s))
		}
	}
	d.dirty = true
}

// A change is what a cut left of an epoch: the sectors that are other than in the
// disk's base.
type change map[int64][]byte

// sum is that of the whole disk with the change made.
func (d *disk) sum(c change) sum {
	all := d.all
	for s, data := range c {
		all = all.minus(d.sums[s].at(s)).plus(sumOf(data).at(s))
	}
	return all
}

// become makes work the base with the change.
func (d *disk) become(c change) error {
	if d.dirty {
		if err := d.restore(); err != nil {
			return err
		}
	}
	for s, data := range c {
		copy(d.work[s*sectorSize:], data)
	}
	d.dirty = true
	return nil
}

// restore makes work the base, which has data only where work has some. Comparing
// is faster than copying.
func (d *disk) restore() error {
	const chunk = 64 << 10
	return extents(int(d.file.Fd()), func(from, to int64) error {
		for ; from < to; from += chunk {
			end := min(from+chunk, to)
			if !bytes.Equal(d.base[from:end], d.work[from:end]) {
				copy(d.work[from:end], d.base[from:end])
			}
		}
		return nil
	})
}
