package blockpatch

import (
	"cmp"
	"maps"
	"slices"

	"github.com/gitboot/gitboot/rootfs"
)

const (
	// A step makes up to stepNew bytes out of up to stepOlder: what a block was made of
	// lies within reach of it in the older file, as much as was put in or taken out
	// before it.
	stepNew, stepOlder = 1 << 20, 4 << 20
	reach              = (stepOlder - stepNew) / 2
)

// A unit is what becomes one step: blocks, made of older ones.
type unit struct {
	blocks []rootfs.Stored
	older  []piece
	// made and taken are how many bytes of content that is, at most.
	made, taken int64
}

// stored is how many bytes its blocks have.
func (u unit) stored() (n int64) {
	for _, b := range u.blocks {
		n += int64(b.Size)
	}
	return n
}

// A planner decides which wanted block is made of which older ones.
type planner struct {
	known  *files
	wanted func(off int64) bool
	done   map[int64]bool
	units  []unit
	// shared are the blocks that hold ends of files, with what these were.
	shared map[rootfs.Stored]*unit
}

func planned(file *rootfs.Reader, older []*rootfs.Reader, wanted func(off int64) bool) ([]unit, error) {
	known, err := filesOf(older)
	if err != nil {
		return nil, err
	}
	p := &planner{known: known, wanted: wanted, done: map[int64]bool{}, shared: map[rootfs.Stored]*unit{}}
	if err := file.Spans(p.add); err != nil {
		return nil, err
	}
	// As they lie in the file: neighbours are of the same package.
	for _, at := range slices.SortedFunc(maps.Keys(p.shared), func(a, b rootfs.Stored) int { return cmp.Compare(a.Offset, b.Offset) }) {
		p.put(*p.shared[at])
	}
	return p.units, nil
}

// add plans the blocks that are one file's own, and notes what its end was.
func (p *planner) add(name string, spans []rootfs.Span) error {
	var was []span
	for i := 0; i < len(spans); {
		if !p.makes(spans[i]) {
			i++
			continue
		}
		if was == nil {
			was = p.known.like(name)
		}
		if s := spans[i]; s.Shared {
			p.share(s, near(was, i, i+1, len(spans)))
			i++
			continue
		}
		u, first := unit{}, i
		for ; i < len(spans) && p.makes(spans[i]) && !spans[i].Shared && u.made < stepNew; i++ {
			s := spans[i]
			p.done[s.Offset] = true
			u.blocks, u.made = append(u.blocks, s.Stored), u.made+int64(s.Length)
		}
		u.take(near(was, first, i, len(spans)))
		p.put(u)
	}
	return nil
}

// makes reports whether a block is wanted that is not planned yet.
func (p *planner) makes(s rootfs.Span) bool {
	return s.Size > 0 && !p.done[s.Offset] && p.wanted(s.Offset)
}

// share notes of what the end of a file is made.
func (p *planner) share(s rootfs.Span, was []span) {
	u := p.shared[s.Stored]
	if u == nil {
		u = &unit{blocks: []rootfs.Stored{s.Stored}}
		p.shared[s.Stored] = u
	}
	u.made = max(u.made, int64(s.At)+int64(s.Length))
	u.take(was)
}

// put adds a unit, to the one before if they are one step together.
func (p *planner) put(u unit) {
	if n := len(p.units) - 1; n >= 0 {
		last := &p.units[n]
		if last.made+u.made <= stepNew && last.taken+u.taken <= stepOlder && len(last.older)+len(u.older) <= maxPieces {
			last.blocks, last.made = append(last.blocks, u.blocks...), last.made+u.made
			last.add(u.older, u.taken)
			return
		}
	}
	p.units = append(p.units, u)
}

// take has a unit made of older content, as far as there is room.
func (u *unit) take(was []span) {
	for _, s := range was {
		if u.taken+s.holds <= stepOlder {
			u.add([]piece{s.piece}, s.holds)
		}
	}
}

// add adds pieces of so many bytes together, each once.
func (u *unit) add(list []piece, holds int64) {
	for _, p := range list {
		if !slices.Contains(u.older, p) {
			u.older = append(u.older, p)
			u.taken += holds / int64(len(list))
		}
	}
}
