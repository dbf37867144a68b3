package partial

import (
	"errors"
	"fmt"

	"github.com/gitboot/gitboot/image/chunked"
)

// A run is what one request brings: chunks in the order of the blob, and what lies
// between them.
type run struct {
	off, end int64
	pieces   []*piece
	// done is closed when all of them are in the spool.
	done chan struct{}
}

// check refuses chunks that do not lie one after the other where the blob has files, or
// that are more than the layer may hold.
func check(files []chunked.File, data, largest int64) error {
	total, last := int64(0), int64(0)
	names := make(map[string]bool, len(files))
	for _, f := range files {
		if names[f.Name] {
			return fmt.Errorf("%q is there twice", f.Name)
		}
		names[f.Name] = true
		if f.Size > largest-total {
			return fmt.Errorf("its files have more than %d bytes", largest)
		}
		total += f.Size
		for _, c := range f.Chunks {
			if c.Offset < last || c.End > data {
				return errors.New("its chunks do not lie one after the other")
			}
			last = c.End
		}
	}
	return nil
}

// runsOf joins pieces that lie near each other, so near that there are not too many runs.
// They come in the order of the blob.
func runsOf(list []*piece) []*run {
	for near := int64(gap); ; near *= 2 {
		var runs []*run
		for _, p := range list {
			if n := len(runs); n > 0 && p.Offset-runs[n-1].end <= near {
				runs[n-1].end, runs[n-1].pieces = p.End, append(runs[n-1].pieces, p)
			} else {
				runs = append(runs, &run{off: p.Offset, end: p.End, pieces: []*piece{p}, done: make(chan struct{})})
			}
			p.run = runs[len(runs)-1]
		}
		if len(runs) <= maxRequests {
			return runs
		}
	}
}
