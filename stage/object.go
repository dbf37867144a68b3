package stage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage/squash"
)

// blockSize is the size of the reads of whole files, headSize how much of one says what
// it is.
const blockSize, headSize = 1 << 20, 4 << 10

// has reports whether the object is there with its full length, and not known to
// be damaged.
func (s *Stage) has(o deployment.Object) (bool, error) {
	there, err := whole(s, o)
	return there && !s.Damaged(o), err
}

// whole reports whether the object is there with its full length.
func whole(s *Stage, o deployment.Object) (bool, error) {
	if !deployment.IsHash(o.SHA256) {
		return false, nil
	}
	info, err := os.Stat(s.ObjectPath(o))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return info.Mode().IsRegular() && info.Size() == o.Size, nil
}

// AddFile stores what r gives, such as a kernel or an initramfs.
func (s *Stage) AddFile(ctx context.Context, r io.Reader) (deployment.Object, error) {
	f, err := durable.Create(s.Temp(), 0o600)
	if err != nil {
		return deployment.Object{}, s.full(fmt.Errorf("add file to stage: %w", err), 1)
	}
	defer f.Discard()
	o, err := copyHashed(ctx, f, r)
	if err != nil {
		return deployment.Object{}, s.full(fmt.Errorf("add file to stage: %w", err), o.Size+blockSize)
	}
	if err := s.publish(f, o); err != nil {
		return deployment.Object{}, s.full(fmt.Errorf("add file to stage: %w", err), o.Size)
	}
	return o, nil
}

// publish gives a finished temporary file its name. An object that is there
// with its full length stays as it is, unless it is known to be damaged.
func (s *Stage) publish(f *durable.File, o deployment.Object) error {
	if there, err := s.has(o); err != nil || there {
		return err
	}
	if err := setAside(s.Layout, o); err != nil {
		return err
	}
	if err := f.Publish(s.ObjectPath(o)); err != nil {
		return err
	}
	if err := unmark(s.Layout, o.SHA256); err != nil {
		return err
	}
	return fault.Point("stage.object.published")
}

// copyHashed copies r to w and returns what object the bytes are.
func copyHashed(ctx context.Context, w io.Writer, r io.Reader) (deployment.Object, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, h), ctxio.Reader(ctx, r), make([]byte, blockSize))
	return deployment.Object{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, err
}

// An intact reads an object, and ends with an error where it is not what its name says.
type intact struct {
	*os.File
	object deployment.Object
	sum    hash.Hash
	n      int64
}

// OpenIntact opens an object for somebody who hands it on: reading it ends with an error
// where it is damaged.
func OpenIntact(s *Stage, o deployment.Object) (io.ReadCloser, error) {
	f, err := os.Open(s.ObjectPath(o))
	if err != nil {
		return nil, err
	}
	return &intact{File: f, object: o, sum: sha256.New()}, nil
}

func (i *intact) Read(p []byte) (int, error) {
	n, err := i.File.Read(p)
	i.sum.Write(p[:n])
	i.n += int64(n)
	if got := (deployment.Object{SHA256: hex.EncodeToString(i.sum.Sum(nil)), Size: i.n}); err == io.EOF && got != i.object {
		err = damaged(i.object, got)
	}
	return n, err
}

// hashFile returns what object the file's bytes are.
func hashFile(ctx context.Context, r io.Reader) (deployment.Object, error) {
	return copyHashed(ctx, io.Discard, r)
}

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

// maxLiars is how many may give other bytes until an object is given up.
const maxLiars = 3

// Fetch stores what was made elsewhere, unless it is there. What is read is written to
// seen, too.
func Fetch(ctx context.Context, s *Stage, what Fetched, seen io.Writer) error {
	if there, err := s.has(what.Object); err != nil || there {
		return err
	}
	for liars := 1; ; liars++ {
		err := what.store(ctx, s, seen)
		if err == nil || ctx.Err() != nil || what.Again == nil || !what.Again(err) || liars == maxLiars {
			return err
		}
		s.log().Warn("an object is fetched once more, of another: it came with other bytes", "object", what.Object.Path(), "error", err)
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
