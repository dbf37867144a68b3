// Package state holds the documents in which the parts of a reconcile remember
// what they did, and through which alone they meet: what the machine has staged
// (state.json), what the workshop has made (workshop/state.json), and the runs
// of both (runs/). Each document has one writer, who holds the lock of that
// part; anybody reads them without a lock, because they are published by a
// rename. They are written only when their content changes.
package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/internal/durable"
)

// Version is the format of the documents that this package writes; another is
// not read.
const Version = 1

// read fills a document from a file, and reports whether there is one. what
// names it in errors, remedy says how to go on without it.
func read(path, what, remedy string, doc any) (there bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", what, err)
	}
	if err := json.Unmarshal(data, doc); err != nil {
		return false, fmt.Errorf("read %s %s: %w; %s", what, path, err, remedy)
	}
	return true, nil
}

// checkVersion refuses what another version of gitboot has to read.
func checkVersion(path, what string, version int) error {
	if version != Version {
		return fmt.Errorf("%s %s has version %d, this gitboot reads %d; use the gitboot that wrote it", what, path, version, Version)
	}
	return nil
}

// write publishes a document durably.
func write(path, what string, doc any) error {
	data, err := encode(doc)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

func encode(doc any) ([]byte, error) {
	data, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	return append(data, '\n'), nil
}

func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// copyTo makes a deep copy.
func copyTo(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("copy state: %w", err)
	}
	return json.Unmarshal(data, to)
}
