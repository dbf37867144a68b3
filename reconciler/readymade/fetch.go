package readymade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gitboot/gitboot/rootfs/blockmap"
)

// tries is how often a run is asked for where several sources give wrong blocks.
const tries = 3

// fetch fetches blocks that follow upon each other, those again that were wrong from
// somebody else.
func (j *joiner) fetch(ctx context.Context, run blockmap.Run, to io.WriterAt, fetched io.Writer) error {
	for try := 1; ; try++ {
		part, err := j.part(ctx, run.Offset, run.Length)
		if err != nil {
			return err
		}
		run, err = j.take(part, run, to, fetched)
		if errors.Is(err, errWrongBlock) {
			part.Reject()
		}
		if err = errors.Join(err, part.Close()); err == nil || !errors.Is(err, errWrongBlock) || try == tries {
			return err
		}
	}
}

// errWrongBlock says that a block is not what the map says.
var errWrongBlock = errors.New("is not what its map says")

// take writes the blocks of a run that a part gives, and returns what is left of the
// run.
func (j *joiner) take(part io.Reader, run blockmap.Run, to io.WriterAt, fetched io.Writer) (blockmap.Run, error) {
	buf := make([]byte, blockmap.MaxBlock)
	for run.First < run.End {
		b := j.blocks[run.First]
		data := buf[:b.Length]
		n, err := io.ReadFull(part, data)
		if _, told := fetched.Write(data[:n]); told != nil {
			return run, told
		}
		if err != nil {
			return run, err
		}
		if !b.Is(data) {
			return run, fmt.Errorf("block %d, at %d, %w", run.First, run.Offset, errWrongBlock)
		}
		if _, err := to.WriteAt(data, run.Offset); err != nil {
			return run, err
		}
		run.First, run.Offset, run.Length = run.First+1, run.Offset+int64(b.Length), run.Length-int64(b.Length)
	}
	return run, nil
}

// oneByOne has several write one after the other.
type oneByOne struct {
	mu sync.Mutex
	io.Writer
}

func (w *oneByOne) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Writer.Write(p)
}
