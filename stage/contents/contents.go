// Package contents keeps which files the objects of a stage have, as it was told with
// the layers that they were made of: their tables of contents (package image/chunked).
// Later layers are put together of these files. What is told of an object goes with it,
// and is nothing that anybody has to believe.
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

func path(s *stage.Stage, o deployment.Object) string {
	return filepath.Join(record.Contents(s.Dir()), o.SHA256)
}

// Put keeps what is told of an object. The caller holds the stage's lock.
func Put(s *stage.Stage, o deployment.Object, table []byte) error {
	if err := durable.MkdirAll(record.Contents(s.Dir()), 0o700); err != nil {
		return err
	}
	if err := durable.WriteFile(path(s, o), table, 0o600); err != nil {
		return err
	}
	return fault.Point("stage.contents.put")
}

// Known reports whether anything is told of an object.
func Known(s *stage.Stage, o deployment.Object) bool {
	_, err := os.Stat(path(s, o))
	return err == nil
}

// Of returns what is told of an object, nil if nothing is.
func Of(s *stage.Stage, o deployment.Object) ([]byte, error) {
	table, err := os.ReadFile(path(s, o))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return table, err
}
