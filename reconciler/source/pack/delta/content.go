package delta

import (
	"fmt"
	"io"
	"os"
	"slices"
)

const (
	// MaxNear is the size up to which an object is put together in memory.
	MaxNear = 16 << 20
	// maxScratch bounds the file in which larger ones are put together.
	maxScratch = 2 << 30
)

// A Content is an object's, while differences from it are resolved: in memory,
// or a region of the scratch file.
type Content interface {
	io.ReaderAt
	Size() int64
}

// Near is in memory.
type Near []byte

func (n Near) Size() int64 { return int64(len(n)) }

func (n Near) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(n)) {
		return 0, io.EOF
	}
	c := copy(p, n[at:])
	if c < len(p) {
		return c, io.EOF
	}
	return c, nil
}

// Regions divide the scratch file.
type Regions struct {
	File *os.File
	used []*Region // by place
}

// A Region is one of them.
type Region struct {
	*io.SectionReader
	at, end int64
}

// Take gives the first gap that is large enough.
func (s *Regions) Take(size int64) (*Region, error) {
	at, k := int64(0), 0
	for k < len(s.used) && s.used[k].at-at < size {
		at = s.used[k].end
		k++
	}
	if at+size > maxScratch {
		return nil, fmt.Errorf("its differences take more than %d MiB to resolve", maxScratch>>20)
	}
	r := &Region{SectionReader: io.NewSectionReader(s.File, at, size), at: at, end: at + size}
	s.used = slices.Insert(s.used, k, r)
	return r, nil
}

// Writer writes to a region.
func (s *Regions) Writer(r *Region) io.Writer { return io.NewOffsetWriter(s.File, r.at) }

// Free gives back a content's region, if it has one.
func (s *Regions) Free(c Content) {
	s.used = slices.DeleteFunc(s.used, func(r *Region) bool { return Content(r) == c })
}
