package blockmap

import "slices"

// A Place is where a block was found: in which file, as the search was told, and where
// in it.
type Place struct {
	File   int
	Offset int64
}

// Nowhere is the place of a block that was not found.
var Nowhere = Place{File: -1}

// Itself is the object that is put together, where a block of it lies in another place of
// it, too.
const Itself = -2

// A Search looks in files, of which there are maps, for the blocks of a map.
type Search struct {
	m      Map
	places map[Block]Place
	// left is how many different blocks are still looked for.
	left int
}

// Search begins to look for a map's blocks.
func (m Map) Search() *Search {
	s := &Search{m: m, places: make(map[Block]Place, len(m))}
	for _, b := range m {
		s.places[b] = Nowhere
	}
	s.left = len(s.places)
	return s
}

// Done reports whether all have been found.
func (s *Search) Done() bool { return s.left == 0 }

// In looks in a file, which places call n.
func (s *Search) In(n int, m Map) {
	off := int64(0)
	for _, b := range m {
		if at, wanted := s.places[b]; wanted && at == Nowhere {
			s.places[b] = Place{n, off}
			s.left--
		}
		off += int64(b.Length)
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

// Repeated changes the places of blocks that were not found, and are the same as one that
// comes before them in the object, to that one's.
func (m Map) Repeated(places []Place) {
	first, off := map[Block]int64{}, int64(0)
	for i, b := range m {
		if places[i] == Nowhere {
			if at, again := first[b]; again {
				places[i] = Place{Itself, at}
			} else {
				first[b] = off
			}
		}
		off += int64(b.Length)
	}
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
