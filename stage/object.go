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
)

// blockSize is the size of the reads of whole files.
const blockSize = 1 << 20

// has reports whether the object is there with its full length, and not known to
// be damaged.
func (s *Stage) has(o deployment.Object) (bool, error) {
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
	return info.Mode().IsRegular() && info.Size() == o.Size && !s.Damaged(o), nil
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

func openIntact(s *Stage, o deployment.Object) (io.ReadCloser, error) {
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
