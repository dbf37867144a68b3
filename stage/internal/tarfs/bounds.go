package tarfs

import (
	"cmp"
	"fmt"
)

// Bounds are what a layer may ask for. Zero fields mean the defaults.
type Bounds struct {
	// Entries is how many it may have (a million), and in one folder a twentieth
	// of that: each name costs memory here, and tar2sqfs's time grows with the
	// square of a folder's names: of 50,000 it is 22 s, of 100,000 nine minutes.
	Entries int
	// Sparse is how many bytes its sparse files may have together (16 GB): their
	// holes are written as zeros, of which the layer itself has none.
	Sparse int64
}

// maxDepth is how many folders deep an entry may lie.
const maxDepth = 256

// maxMemory bounds what the names and attributes of one layer may take.
const maxMemory = 512 << 20

func (b Bounds) withDefaults() Bounds {
	return Bounds{cmp.Or(b.Entries, 1_000_000), cmp.Or(b.Sparse, 16e9)}
}

// folder is how many names a folder may have.
func (b Bounds) folder() int { return b.Entries / 20 }

func (b Bounds) check(r Report) error {
	switch {
	case r.Entries > b.Entries:
		return fmt.Errorf("the layer has more than %d entries; if that is meant, set layer_entries in agent.toml", b.Entries)
	case r.Sparse > b.Sparse || r.Sparse < 0:
		return fmt.Errorf("the layer's sparse files have more than %d bytes; if that is meant, set layer_size for the image", b.Sparse)
	}
	return nil
}
