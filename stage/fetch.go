package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/stage/squash"
)

// headSize is how much of a file says what it is.
const headSize = 4 << 10

// A Fetched is an object that somebody else has made.
type Fetched struct {
	Object deployment.Object
	// Open streams it. Reading must end with an error when ctx ends, and with io.EOF
	// only after what was read has been found to be Object.
	Open func(context.Context) (io.ReadCloser, error)
	// Soon says that all of it is read before long.
	Soon bool
	// Blocks, if it is not nil, is used instead of Open.
	Blocks *squash.Blocks
	// Again says of an error that somebody gave other bytes, and that others are asked
	// first from then on; nil of none.
	Again func(error) bool
	// Check refuses one by its first bytes and its length; nil takes any.
	Check func(head []byte, size int64) error
}

// maxLiars is how many may give other bytes until an object or a layer is given up.
const maxLiars = 3

// Fetch stores what was made elsewhere, unless it is there. What is read is written to
// seen, too.
func Fetch(ctx context.Context, s *Stage, what Fetched, seen io.Writer) error {
	if there, err := s.has(what.Object); err != nil || there {
		return err
	}
	return pastLiars(ctx, what.Again, func() error { return what.store(ctx, s, seen) }, func(err error) {
		s.log().Warn("an object is fetched once more, of another: it came with other bytes", "object", what.Object.Path(), "error", err)
	})
}

// pastLiars does something once more where somebody gave other bytes for it, which again
// tells of an error: others are asked then. Each time that is told before.
func pastLiars(ctx context.Context, again func(error) bool, do func() error, tell func(error)) error {
	for liars := 1; ; liars++ {
		err := do()
		if err == nil || ctx.Err() != nil || again == nil || !again(err) || liars == maxLiars {
			return err
		}
		tell(err)
	}
}

// store writes it into a file of its own, which is the object if it is what it should be.
func (what Fetched) store(ctx context.Context, s *Stage, seen io.Writer) error {
	f, err := durable.Create(s.Temp(), 0o600)
	if err != nil {
		return err
	}
	defer f.Discard()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	write := what.copy
	if what.Blocks != nil {
		write = what.join
	}
	if err := write(ctx, s, f, seen); err != nil {
		return err
	}
	if n := what.Object.Size; what.Check != nil {
		head := make([]byte, min(n, headSize))
		if _, err := f.ReadAt(head, 0); err != nil {
			return err
		}
		if err := what.Check(head, n); err != nil {
			return err
		}
	}
	return s.publish(f, what.Object)
}

// copy writes all of it, which is verified on the way.
func (what Fetched) copy(ctx context.Context, s *Stage, f *durable.File, seen io.Writer) error {
	body, err := what.Open(ctx)
	if err != nil {
		return err
	}
	room := &durable.Reserving{Reader: io.TeeReader(body, seen), Dir: s.Temp(), Reserve: s.Reserve}
	write := durable.Stream
	if what.Soon {
		write = throughCache
	}
	n, err := write(f.File, room)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	if n != what.Object.Size {
		return fmt.Errorf("it has %d bytes instead of %d", n, what.Object.Size)
	}
	return nil
}

// throughCache writes what is read again before long.
func throughCache(f *os.File, r io.Reader) (int64, error) {
	// Without its ReadFrom, so that the buffer is used: a quarter of the processor time.
	return io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, blockSize))
}

// join puts it together of blocks, and verifies the whole.
func (what Fetched) join(ctx context.Context, s *Stage, f *durable.File, seen io.Writer) error {
	if err := s.HasRoom(what.Object.Size); err != nil {
		return err
	}
	if err := what.Blocks.Join(ctx, f.File, seen); err != nil {
		return err
	}
	switch o, err := syncHashed(ctx, f.File); {
	case err != nil:
		return err
	case o != what.Object:
		return fmt.Errorf("its blocks make object %s of %d bytes", o.SHA256, o.Size)
	}
	return nil
}
