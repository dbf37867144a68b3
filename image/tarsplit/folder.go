package tarsplit

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// FromFolder streams the tar that a layer was before its files were unpacked into
// dir, as the tar-split file, compressed by gzip, remembers it.
func FromFolder(ctx context.Context, split, dir string) (io.ReadCloser, error) {
	f, err := os.Open(split)
	if err != nil {
		return nil, fmt.Errorf("read layer: %w; remove the engine's folder, and build again", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read layer: %w", err), f.Close())
	}
	r, w := io.Pipe()
	go func() {
		err := assembleFolder(ctx, w, f, root)
		w.CloseWithError(errors.Join(err, f.Close(), root.Close()))
	}()
	return r, nil
}

func assembleFolder(ctx context.Context, w io.Writer, split io.Reader, root *os.Root) error {
	z, err := gzip.NewReader(bufio.NewReader(split))
	if err == nil {
		err = Assemble(ctx, w, z, func(to io.Writer, name string, size int64) error { return writeContent(to, root, name, size) })
	}
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	return nil
}

// writeContent copies a file's bytes. Files are found below root only, whatever
// links a step has left there.
func writeContent(w io.Writer, root *os.Root, name string, size int64) error {
	f, err := root.Open(relative(name))
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(w, io.LimitReader(f, size))
	if err == nil && n != size {
		err = fmt.Errorf("%s has %d bytes of %d", name, n, size)
	}
	return err
}

// relative takes a tar's name as one below the archive's top.
func relative(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
