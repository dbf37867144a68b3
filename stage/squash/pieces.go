package squash

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Pieces packs what make hands to add as a layer's files are packed, each piece as a file
// of its own, so that one which holds what a block of a layer holds becomes that block.
// Only the blocks count of what it makes.
func Pieces(ctx context.Context, into *os.File, make func(add func(content []byte) error) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	q, err := startSquash(ctx, into.Name())
	if err != nil {
		return err
	}
	out, n := tar.NewWriter(q), 0
	err = make(func(content []byte) error {
		head := &tar.Header{Name: fmt.Sprintf("%08d", n), Mode: 0o600, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
		n++
		if err := out.WriteHeader(head); err != nil {
			return err
		}
		_, err := out.Write(content)
		return err
	})
	if err == nil {
		err = out.Close()
	}
	if err == nil {
		return q.finish()
	}
	cancel()
	return errors.Join(err, q.abandon())
}
