package cut

import (
	"fmt"
	"math/rand/v2"
)

// A state is what a disk may be found as after a cut: its base with a change. The
// name says how it was made, so that a failure can be looked at again.
type state struct {
	name   string
	change change
}

// states gives what a cut within an epoch may leave, each without an order that
// would come out the same: nothing of it, all of it but one write, one write
// alone, what came first up to some write, any subset, and the same with one write
// torn. It goes on for as long as it is asked.
func states(n, round int, e epoch, w whole, yield func(state) bool) {
	if !yield(state{name: fmt.Sprintf("%d", n)}) || len(e.writes) == 0 {
		return
	}
	random := rand.New(rand.NewPCG(uint64(n), uint64(12+round)))
	for turn := 0; ; turn++ {
		for _, kind := range kinds {
			if !yield(state{name: fmt.Sprintf("%d %s.%d.%d", n, kind.name, round, turn), change: kind.of(tearing{e.writes, w, random}, turn)}) {
				return
			}
		}
	}
}

var kinds = []struct {
	name string
	of   func(t tearing, round int) change
}{
	{"half", func(t tearing, _ int) change {
		return t.subset(t.writes, 0.5)
	}},
	{"one", func(t tearing, round int) change {
		c := change{}
		c.add(t.writes[t.pick(round)])
		return c
	}},
	{"torn", func(t tearing, _ int) change {
		torn := t.random.IntN(len(t.writes))
		c := t.subset(t.writes[:torn], t.random.Float64())
		t.tear(c, t.writes[torn])
		return c
	}},
	{"but", func(t tearing, round int) change {
		c, out := change{}, t.pick(round)
		for i, w := range t.writes {
			if i != out {
				c.add(w)
			}
		}
		return c
	}},
	{"first", func(t tearing, _ int) change {
		c, end := change{}, 1+t.random.IntN(len(t.writes))
		for _, w := range t.writes[:end] {
			c.add(w)
		}
		return c
	}},
	{"some", func(t tearing, _ int) change {
		return t.subset(t.writes, t.random.Float64())
	}},
	{"tatters", func(t tearing, _ int) change {
		c := change{}
		for _, w := range t.writes {
			t.tear(c, w)
		}
		return c
	}},
}

// An extent is sectors from one up to another.
type extent struct{ from, to int64 }

func (e extent) has(sector int64) bool { return sector >= e.from && sector < e.to }

// A tearing makes changes of an epoch's writes, of which none comes in parts that the
// file system takes for one.
type tearing struct {
	writes []write
	whole
	random *rand.Rand
}

// A whole is what is written together or not at all: a superblock, and blocks outside
// of a journal.
type whole struct {
	super, journal extent
	block          int64
}

// pick takes each write once, if there are few enough, from the last one on: those
// are not of files but of the file system.
func (t tearing) pick(round int) int {
	if round < len(t.writes) {
		return len(t.writes) - 1 - round
	}
	return t.random.IntN(len(t.writes))
}

// subset takes each write with a probability.
func (t tearing) subset(writes []write, p float64) change {
	c := change{}
	for _, w := range writes {
		if t.random.Float64() < p {
			c.add(w)
		}
	}
	return c
}

func (c change) add(w write) {
	for i := range w.sectors() {
		c[w.sector+int64(i)] = w.data[i*sectorSize : (i+1)*sectorSize]
	}
}

// tear takes some of a write's sectors: what is before or after a place, or any.
func (t tearing) tear(c change, w write) {
	place, how := t.random.IntN(w.sectors()+1), t.random.IntN(3)
	var kept bool
	for i := range w.sectors() {
		s := w.sector + int64(i)
		switch together := i > 0 && t.together(s); {
		case together:
		case how == 0:
			kept = i < place
		case how == 1:
			kept = i >= place
		default:
			kept = t.random.IntN(2) == 0
		}
		if kept {
			c[s] = w.data[i*sectorSize : (i+1)*sectorSize]
		}
	}
}

// together reports whether a sector is written with the one before it.
func (w whole) together(sector int64) bool {
	return sector > w.super.from && sector < w.super.to || w.block > 0 && sector%w.block != 0 && !w.journal.has(sector)
}
