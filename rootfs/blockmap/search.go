package blockmap

import (
	"context"
	"fmt"
	"io"
	"slices"
)

// A Place is where a block was found: in which file, as the search was told, and where
// in it.
type Place struct {
	File   int
	Offset int64
}

// Nowhere is the place of a block that was not found.
var Nowhere = Place{File: -1}

// A Search looks in files for the blocks of a map.
type Search struct {
	m      Map
	places map[Block]Place
	// lengths are how many different blocks of a length are still looked for: no other
	// need be read.
	lengths map[int32]int
}

// Search begins to look for a map's blocks.
func (m Map) Search() *Search {
	s := &Search{m: m, places: make(map[Block]Place, len(m)), lengths: map[int32]int{}}
	for _, b := range m {
		if _, known := s.places[b]; !known {
			s.places[b] = Nowhere
			s.lengths[b.Length]++
		}
	}
	return s
}

// Done reports whether all have been found.
func (s *Search) Done() bool { return len(s.lengths) == 0 }

// In looks in a squashfs of a size, which places call n.
func (s *Search) In(ctx context.Context, n int, file io.ReaderAt, size int64) error {
	lengths, err := lengthsOf(file, size)
	if err != nil {
		return err
	}
	buf, off := make([]byte, MaxBlock), int64(0)
	for _, length := range lengths {
		if s.lengths[length] > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := file.ReadAt(buf[:length], off); err != nil {
				return fmt.Errorf("read the block at %d: %w", off, err)
			}
			s.found(blockOf(buf[:length]), Place{n, off})
		}
		off += int64(length)
	}
	return nil
}

func (s *Search) found(b Block, at Place) {
	if known, wanted := s.places[b]; !wanted || known != Nowhere {
		return
	}
	s.places[b] = at
	if s.lengths[b.Length]--; s.lengths[b.Length] == 0 {
		delete(s.lengths, b.Length)
	}
}

// Places are where the map's blocks are, in their order.
func (s *Search) Places() []Place {
	list := make([]Place, len(s.m))
	for i, b := range s.m {
		list[i] = s.places[b]
	}
	return list
}

// A Run is blocks that follow upon each other: those from First on and before End, of
// the Length bytes from Offset on.
type Run struct {
	First, End     int
	Offset, Length int64
}

// Missing are the runs that have to be fetched. One goes on over blocks that are there
// if they are no more than gap bytes, or if there would be more than limit runs.
func (m Map) Missing(places []Place, gap int64, limit int) []Run {
	runs := m.runs(places)
	if gaps := gapsOf(runs); len(runs) > limit {
		slices.Sort(gaps)
		gap = max(gap, gaps[len(gaps)-limit])
	}
	joined := runs[:0]
	for _, r := range runs {
		if n := len(joined) - 1; n >= 0 && r.Offset-joined[n].end() <= gap {
			joined[n].End, joined[n].Length = r.End, r.end()-joined[n].Offset
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

func (r Run) end() int64 { return r.Offset + r.Length }

// runs are those of blocks that were not found, and of nothing else.
func (m Map) runs(places []Place) (runs []Run) {
	off := int64(0)
	for i, b := range m {
		if places[i] == Nowhere {
			if n := len(runs) - 1; n >= 0 && runs[n].End == i {
				runs[n].End, runs[n].Length = i+1, runs[n].Length+int64(b.Length)
			} else {
				runs = append(runs, Run{i, i + 1, off, int64(b.Length)})
			}
		}
		off += int64(b.Length)
	}
	return runs
}

func gapsOf(runs []Run) (gaps []int64) {
	for i := range len(runs) - 1 {
		gaps = append(gaps, runs[i+1].Offset-runs[i].end())
	}
	return gaps
}

// Is reports whether data is the block.
func (b Block) Is(data []byte) bool { return blockOf(data) == b }
