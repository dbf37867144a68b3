package pack

import (
	"fmt"
	"io"
	"os"
	"slices"
)

const (
	// maxNear is the size up to which an object is put together in memory.
	maxNear = 16 << 20
	// maxScratch bounds the file in which larger ones are put together.
	maxScratch = 2 << 30
)

// A content is an object's, while differences from it are resolved: in memory,
// or a region of the scratch file.
type content interface {
	io.ReaderAt
	Size() int64
}

type near []byte

func (n near) Size() int64 { return int64(len(n)) }

func (n near) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(n)) {
		return 0, io.EOF
	}
	c := copy(p, n[at:])
	if c < len(p) {
		return c, io.EOF
	}
	return c, nil
}

// The scratch file is divided into regions.
type regions struct {
	f    *os.File
	used []*region // by place
}

type region struct {
	*io.SectionReader
	at, end int64
}

// take gives the first gap that is large enough.
func (s *regions) take(size int64) (*region, error) {
	at, k := int64(0), 0
	for k < len(s.used) && s.used[k].at-at < size {
		at = s.used[k].end
		k++
	}
	if at+size > maxScratch {
		return nil, fmt.Errorf("its differences take more than %s to resolve", bytesOf(maxScratch))
	}
	r := &region{SectionReader: io.NewSectionReader(s.f, at, size), at: at, end: at + size}
	s.used = slices.Insert(s.used, k, r)
	return r, nil
}

func (s *regions) writer(r *region) io.Writer { return io.NewOffsetWriter(s.f, r.at) }

func (s *regions) free(c content) {
	s.used = slices.DeleteFunc(s.used, func(r *region) bool { return content(r) == c })
}
