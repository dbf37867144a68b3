package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// Stream reads the file as it is stored.
func (f File) Stream(ctx context.Context) (io.ReadCloser, error) {
	file, err := f.Open()
	if err != nil {
		return nil, err
	}
	return ctxio.ReadCloser(ctx, file), nil
}

// Size is the file's length, 0 if it cannot be told.
func (f File) Size() int64 {
	file, err := f.Open()
	if err != nil {
		return 0
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil {
		return info.Size()
	}
	return 0
}

func (f File) Digest(ctx context.Context) (v1.Hash, error) {
	rc, err := f.Stream(ctx)
	if err != nil {
		return v1.Hash{}, err
	}
	h := sha256.New()
	_, err = io.Copy(h, rc)
	return untrusted.Hash(h), errors.Join(err, rc.Close())
}

// Sums is what one pass over a tar tells.
type Sums struct {
	File, Tar v1.Hash
	Size      int64
}

// Measure hashes a file, and the tar that it gives when that is not the same.
func Measure(ctx context.Context, f File, compressed bool, strip int, bounds expand.Expansion) (Sums, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rc, err := f.Stream(ctx)
	if err != nil {
		return Sums{}, err
	}
	raw := &hashingReader{ReadCloser: rc, hash: sha256.New()}
	in := expand.NewAhead(raw, cancel)
	defer in.Close()
	inner := sha256.New()
	if compressed || strip > 0 {
		if err := hashTar(inner, in, bounds, strip, cancel); err != nil {
			return Sums{}, err
		}
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return Sums{}, err
	}
	// The goroutine has seen the end, so nothing reads raw any more.
	out := Sums{File: untrusted.Hash(raw.hash), Size: raw.n}
	if out.Tar = out.File; compressed || strip > 0 {
		out.Tar = untrusted.Hash(inner)
	}
	return out, nil
}

// hashTar hashes the tar that a file gives.
func hashTar(w io.Writer, in io.Reader, bounds expand.Expansion, strip int, cancel func()) error {
	d, err := bounds.Open(in, expand.FileDiet(), strip, "the archive", 0)
	if err != nil {
		return err
	}
	out := expand.NewAhead(d, cancel)
	_, err = io.Copy(w, out)
	err = errors.Join(err, out.Close())
	if unsupported := (*untrusted.UnsupportedError)(nil); errors.As(err, &unsupported) {
		return unsupported
	}
	if large := (*expand.ExpansionError)(nil); errors.As(err, &large) {
		return large
	}
	if err != nil {
		return fmt.Errorf("read the tar: %w; the archive is damaged, make or fetch it again", err)
	}
	return nil
}

type hashingReader struct {
	io.ReadCloser
	hash hash.Hash
	n    int64
}

func (r *hashingReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.hash.Write(p[:n])
	r.n += int64(n)
	return n, err
}
