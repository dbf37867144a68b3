package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/gitboot/gitboot/tests/lab"
)

// fileSize is that of the files in sized layers, in bytes.
const fileSize = 1 << 20

// sizedWorld makes a world whose image is Debian and four layers of size bytes.
func (s *site) sizedWorld(ctx context.Context, tag string, size int) (*world, error) {
	layers := []lab.Layer{{Path: s.rootfs}}
	for i := range 4 {
		path := s.path(fmt.Sprintf("%s-%d.tar", tag, i))
		if err := writeSized(path, byte(i), size); err != nil {
			return nil, err
		}
		layers = append(layers, lab.Layer{Path: path})
	}
	ref, _, err := s.registry.Push(ctx, "sized:"+tag, nil, layers...)
	if err != nil {
		return nil, err
	}
	for _, l := range layers[1:] {
		if err := os.Remove(l.Path); err != nil {
			return nil, err
		}
	}
	return s.newWorld(ctx, ref, "")
}

// writeSized writes a layer's tar of size bytes, of which half compresses well
// and half not at all, as programs and pictures do.
func writeSized(path string, n byte, size int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	random := rand.NewChaCha8([32]byte{n})
	line := fmt.Appendf(nil, "layer %d: the quick brown fox jumps over the lazy dog\n", n)
	content := bytes.Repeat(line, fileSize/len(line)+1)[:fileSize]
	for i := range size / fileSize {
		random.Read(content[fileSize/2:])
		if err := writeFile(w, fmt.Sprintf("opt/layer%d/%04d", n, i), 0o644, content); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Close(), f.Close())
}
