package blockpatch

import (
	"context"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/gitboot/gitboot/rootfs"
)

// Apply reads a patch to its end and calls made with what each new block holds, in their
// order. older are the files that it was made for; what made is given is its for that call.
func Apply(ctx context.Context, patch io.Reader, older []*rootfs.Reader, made func(content []byte) error) error {
	steps, err := newReader(patch, len(older))
	if err != nil {
		return err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxNew), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return err
	}
	defer dec.Close()
	dict, content := make([]byte, 0, maxOlder), make([]byte, 0, maxNew)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := steps.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if dict, err = expand(dict[:0], s.older, older); err != nil {
			return err
		}
		if err := dec.ResetWithOptions(nil, zstd.WithDecoderDictRaw(dictID, dict)); err != nil {
			return err
		}
		if content, err = dec.DecodeAll(s.frame, content[:0]); err != nil {
			return fmt.Errorf("a step of a patch: %w", err)
		}
		rest := content
		for _, n := range s.length {
			if int(n) > len(rest) {
				return fmt.Errorf("%w: a step makes %d bytes", errForm, len(content))
			}
			if err := made(rest[:n:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
}

// expand appends what older blocks hold.
func expand(to []byte, list []piece, older []*rootfs.Reader) ([]byte, error) {
	for _, p := range list {
		data, err := older[p.source].Expand(p.Stored)
		if err != nil {
			return to, err
		}
		if len(to)+len(data) > maxOlder {
			return to, fmt.Errorf("%w: a step takes more than %d bytes", errForm, maxOlder)
		}
		to = append(to, data...)
	}
	return to, nil
}
