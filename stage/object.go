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
	"github.com/gitboot/gitboot/stage/internal/marks"
)

// blockSize is the size of the reads of whole files.
const blockSize = 1 << 20

// Damaged reports whether an object is known to be damaged.
func (l Layout) Damaged(o deployment.Object) bool { return marks.In(l.Dir()).Has(o.SHA256) }

// Marked are the hashes of all objects that are known to be damaged, for who asks of
// many.
func Marked(l Layout) map[string]bool {
	all, err := marks.In(l.Dir()).All()
	if err != nil {
		return nil
	}
	marked := make(map[string]bool, len(all))
	for _, hash := range all {
		marked[hash] = true
	}
	return marked
}

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
		return deployment.Object{}, s.full(fmt.Errorf("add file to stage: %w", err), 0)
	}
	defer f.Discard()
	o, err := CopyHashed(ctx, f, r)
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
	known := marks.In(s.Dir())
	if err := known.SetAside(o.SHA256, s.ObjectPath(o)); err != nil {
		return err
	}
	if err := f.Publish(s.ObjectPath(o)); err != nil {
		return err
	}
	if err := known.Remove(o.SHA256); err != nil {
		return err
	}
	return fault.Point("stage.object.published")
}

// CopyHashed copies r to w and returns what object the bytes are.
func CopyHashed(ctx context.Context, w io.Writer, r io.Reader) (deployment.Object, error) {
	h := sha256.New()
	n, err := io.CopyBuffer(io.MultiWriter(w, h), ctxio.Reader(ctx, r), make([]byte, blockSize))
	return deployment.Object{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}, err
}

// A Proof reads what should be an object, and ends with an error where it is another.
type Proof struct {
	io.ReadCloser
	Object deployment.Object
	// Wrong says that the bytes are another object.
	Wrong func(got deployment.Object) error

	sum hash.Hash
	n   int64
}

func (p *Proof) Read(b []byte) (int, error) {
	if p.sum == nil {
		p.sum = sha256.New()
	}
	n, err := p.ReadCloser.Read(b)
	p.sum.Write(b[:n])
	p.n += int64(n)
	if err != io.EOF {
		return n, err
	}
	if got := (deployment.Object{SHA256: hex.EncodeToString(p.sum.Sum(nil)), Size: p.n}); got != p.Object {
		err = p.Wrong(got)
	}
	return n, err
}

// OpenIntact opens an object for somebody who hands it on: reading it ends with an error
// where it is damaged.
func OpenIntact(s *Stage, o deployment.Object) (io.ReadCloser, error) {
	f, err := os.Open(s.ObjectPath(o))
	if err != nil {
		return nil, err
	}
	return &Proof{ReadCloser: f, Object: o, Wrong: func(got deployment.Object) error {
		return fmt.Errorf("%s is damaged (sha256 %s, %d bytes); see `gitboot stage verify`", o.Path(), got.SHA256, got.Size)
	}}, nil
}

// Intact reads an object and reports how it is not what its name says.
func Intact(ctx context.Context, s *Stage, o deployment.Object) error {
	f, err := OpenIntact(s, o)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(io.Discard, ctxio.Reader(ctx, f), make([]byte, blockSize))
	return err
}

// Discard removes objects that nothing needs yet, of which some may be there.
func Discard(l Layout, objects []deployment.Object) (err error) {
	for _, o := range objects {
		if l.Damaged(o) {
			continue // it was there before, and may be running
		}
		if rerr := os.Remove(l.ObjectPath(o)); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return errors.Join(err, durable.SyncDir(l.Objects()))
}
