package untrusted

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A verifier passes a stream on and replaces its io.EOF by a *DigestError
// when the stream was not what it should have been.
type verifier struct {
	io.ReadCloser
	hash     hash.Hash
	want     v1.Hash
	size     int64 // -1: not known
	n        int64
	what     string
	source   func() string
	mismatch func()
	err      error
}

// NewVerifier verifies a stream that came of source; mismatch, if it is set, is called for
// a false one. A size of -1 is not known.
func NewVerifier(r io.ReadCloser, want v1.Hash, size int64, what string, source func() string, mismatch func()) *verifier {
	return &verifier{ReadCloser: r, hash: sha256.New(), want: want, size: size, what: what, source: source, mismatch: mismatch}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	n, err := v.ReadCloser.Read(p)
	v.hash.Write(p[:n])
	v.n += int64(n)
	if err == io.EOF {
		err = v.check()
	}
	v.err = err
	return n, err
}

// check decides what a stream that has ended was.
func (v *verifier) check() error {
	want, got := v.want.String(), "sha256:"+hex.EncodeToString(v.hash.Sum(nil))
	switch {
	case v.size >= 0 && v.n != v.size:
		want, got = fmt.Sprintf("%d bytes", v.size), fmt.Sprintf("%d bytes", v.n)
	case want == got:
		return io.EOF
	}
	if v.mismatch != nil {
		v.mismatch()
	}
	return &DigestError{v.what, v.source(), want, got}
}

// maxLiars is how many may give other bytes until a document is given up.
const maxLiars = 3

// ReadAll reads a small stream that is verified, once more where somebody gave other bytes:
// opened again, it is of another, if there is one.
func ReadAll(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) ([]byte, error) {
	for liars := 1; ; liars++ {
		data, err := readOnce(ctx, open)
		if err == nil || !errors.As(err, new(*DigestError)) || liars == maxLiars {
			return data, err
		}
	}
}

func readOnce(ctx context.Context, open func(context.Context) (io.ReadCloser, error)) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := open(ctx)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// SHA256 is the digest of a document.
func SHA256(data []byte) v1.Hash {
	sum := sha256.Sum256(data)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// Hash is the digest of what was written to h, a sha256.
func Hash(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}
