// Package tarsplit puts a layer's tar together again out of its files' contents and
// what github.com/vbatts/tar-split (tar/storage) has kept of the archive.
package tarsplit

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// What is kept: one JSON object a line, which is a file's name or bytes of the archive
// between files' contents.
const (
	splitFile    = 1
	splitSegment = 2
)

// maxLine bounds a line: tar-split cuts what lies between files into megabytes.
const maxLine = 8 << 20

type splitEntry struct {
	Type    int    `json:"type"`
	Name    string `json:"name"`
	NameRaw []byte `json:"name_raw"`
	Size    int64  `json:"size"`
	Payload []byte `json:"payload"`
}

// Assemble writes the tar that split has kept the rest of. Content writes a file's
// bytes, as many as it is told; what it does not write lacks.
func Assemble(ctx context.Context, to io.Writer, split io.Reader, content func(to io.Writer, name string, size int64) error) error {
	out, lines := bufio.NewWriterSize(to, 1<<18), bufio.NewScanner(split)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		var e splitEntry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("what is kept of the archive: %w", err)
		}
		var err error
		switch {
		case e.Type == splitSegment:
			_, err = out.Write(e.Payload)
		case e.Type == splitFile && e.Size > 0:
			err = content(out, e.name(), e.Size)
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("what is kept of the archive: %w", err)
	}
	return out.Flush()
}

func (e splitEntry) name() string {
	if len(e.NameRaw) > 0 {
		return string(e.NameRaw)
	}
	return e.Name
}
