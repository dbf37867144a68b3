// Package contents keeps what the objects of a stage consist of: which files they have, as
// it was told with the layers that they were made of, and which blocks. Later ones are put
// together of these. What is told of an object goes with it, and is nothing that anybody
// has to believe.
package contents

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// A Kind is what is told of an object.
type Kind string

const (
	// Files are a layer's table of contents (package image/chunked).
	Files Kind = ""
	// Blocks are a block map (package rootfs/blockmap).
	Blocks Kind = ".blocks"
)

func path(s *stage.Stage, o deployment.Object, kind Kind) string {
	return filepath.Join(record.Contents(s.Dir()), o.SHA256+string(kind))
}

// Put keeps what is told of an object. The caller holds the stage's lock.
func Put(s *stage.Stage, o deployment.Object, kind Kind, data []byte) error {
	if err := durable.MkdirAll(record.Contents(s.Dir()), 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(path(s, o, kind), data, 0o600); err != nil {
		return err
	}
	return fault.Point("stage.contents.put")
}

// Known reports whether anything of that kind is told of an object.
func Known(s *stage.Stage, o deployment.Object, kind Kind) bool {
	_, err := os.Stat(path(s, o, kind))
	return err == nil
}

// Of returns what is told of an object, nil if nothing is.
func Of(s *stage.Stage, o deployment.Object, kind Kind) ([]byte, error) {
	data, err := os.ReadFile(path(s, o, kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
