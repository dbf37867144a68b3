package durable

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// Copy begins a file in dir, as Create does, with the content of another, and
// returns the sha256 of that in hex: to be compared before it is published.
func Copy(ctx context.Context, dir string, mode os.FileMode, from string) (*File, string, error) {
	in, err := os.Open(from)
	if err != nil {
		return nil, "", err
	}
	defer in.Close()
	out, err := Create(dir, mode)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), ctxio.Reader(ctx, in)); err != nil {
		out.Discard()
		return nil, "", err
	}
	return out, hex.EncodeToString(sum.Sum(nil)), nil
}
