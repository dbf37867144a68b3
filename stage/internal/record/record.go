// Package record keeps what a stage remembers of work that was done: what a
// layer and a kernel became. A record that is lost or cannot be read costs doing
// the work again, and no more.
package record

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// Read reads a record.
func Read[T any](path string) (T, error) {
	var v T
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	return v, err
}

// Write writes a record durably.
func Write(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'), 0o600)
}

// Names returns the names of a folder's .json files without that,
// sorted, where they pass ok.
func Names(dir string, ok func(string) bool) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if name, json := strings.CutSuffix(filepath.Base(e.Name()), ".json"); json && ok(name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Drop calls keep for each record of a folder, which may change it, and removes
// those of which nothing is left.
func Drop[T any](dir string, keep func(*T) (left, changed bool)) error {
	names, err := Names(dir, func(string) bool { return true })
	if err != nil {
		return err
	}
	dropped := false
	for _, name := range names {
		path := dir + "/" + name + ".json"
		if r, err := Read[T](path); err == nil {
			left, changed := keep(&r)
			if left && changed {
				err := Write(path, r)
				if full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT); err != nil && !full {
					return err
				}
				left = err == nil // what makes room must not need any
			}
			if left {
				continue
			}
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		dropped = true
	}
	if !dropped {
		return nil
	}
	return durable.SyncDir(dir)
}

// DropAll removes what a stage remembers of objects that are not live. It is done before
// these are removed, so that no record ever names what is gone.
func DropAll(stage string, live func(deployment.Object) bool) error {
	err := Drop(filepath.Join(stage, "layers"), func(r *Layer) (left, changed bool) { return r.Keep(live) })
	if err != nil {
		return err
	}
	if err := DropTrees(Trees(stage), live); err != nil {
		return err
	}
	if err := DropContents(Contents(stage), live); err != nil {
		return err
	}
	return Drop(filepath.Join(stage, "kernels"), func(r *Kernel) (left, changed bool) { return live(r.Kernel) && live(r.Initramfs), false })
}
