// Package tarsplit puts a layer's tar together again out of its unpacked files
// and what github.com/vbatts/tar-split (tar/storage) has kept of the archive.
package tarsplit

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Entries of a tar-split file, compressed by gzip: one JSON object a line, which
// is a file's name or bytes of the archive between files' contents.
const (
	splitFile    = 1
	splitSegment = 2
)

type splitEntry struct {
	Type    int    `json:"type"`
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw"`
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"`
}

// Assemble streams the tar that a layer was before its files were unpacked into
// dir, as the tar-split file remembers it.
func Assemble(ctx context.Context, split, dir string) (io.ReadCloser, error) {
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
		err := writeAssembled(ctx, w, f, root)
		w.CloseWithError(errors.Join(err, f.Close(), root.Close()))
	}()
	return r, nil
}

func writeAssembled(ctx context.Context, w io.Writer, split io.Reader, root *os.Root) error {
	z, err := gzip.NewReader(bufio.NewReader(split))
	if err != nil {
		return fmt.Errorf("read layer: %w", err)
	}
	out := bufio.NewWriterSize(w, 1<<18)
	entries := json.NewDecoder(bufio.NewReader(z))
	for {
		var e splitEntry
		err := entries.Decode(&e)
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
		case e.Type == splitSegment:
			_, err = out.Write(e.Payload)
		case e.Type == splitFile && e.Size > 0:
			err = writeContent(out, root, e)
		}
		if err != nil {
			return fmt.Errorf("read layer: %w", err)
		}
	}
}

// writeContent copies a file's bytes. Files are found below root only, whatever
// links a step has left there.
func writeContent(w io.Writer, root *os.Root, e splitEntry) error {
	name := e.Name
	if len(e.NameRaw) > 0 {
		name = string(e.NameRaw)
	}
	f, err := root.Open(relative(name))
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(w, io.LimitReader(f, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("%s has %d bytes of %d", name, n, e.Size)
	}
	return err
}

// relative takes a tar's name as one below the archive's top.
func relative(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}
