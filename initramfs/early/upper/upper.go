// Package upper keeps a writable layer on a disk from one boot to the next, or wipes
// it.
package upper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gitboot/gitboot/deployment"
)

// Folders of overlayfs, and the beginning of the names of what is being removed.
const (
	upperDir = "upper"
	workDir  = "work"
	oldDir   = "old-"
)

// maxReset is how much of the file that says what to give up is read.
const maxReset = 1 << 20

// Make makes the folders upper and work in one that is empty.
func Make(dir string) error {
	for _, name := range []string{upperDir, workDir} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// Prepare makes dir, which is on a disk, ready to be an overlay's, and returns it. What
// it holds of boots before is wiped, or kept but for what the file
// deployment.UpperReset beside it names. Wherever that is cut off, the next boot goes
// on with it. What cannot be removed is told, and is not in the way.
func Prepare(dir string, kept bool, warn func(format string, args ...any)) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	if err := removeOld(dir); err != nil {
		warn("what was given up of the writable layer is not all removed: %v", err)
	}
	// overlayfs makes work anew, and needs it only while it is mounted
	if err := putAside(dir, workDir); err != nil {
		return "", err
	}
	var err error
	if kept {
		err = reset(dir, warn)
	} else {
		err = putAside(dir, upperDir)
	}
	if err != nil {
		return "", err
	}
	for _, name := range []string{upperDir, workDir} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !(kept && name == upperDir && errors.Is(err, fs.ErrExist)) {
			return "", err
		}
	}
	if err := removeOld(dir); err != nil {
		warn("what was given up of the writable layer is not all removed: %v", err)
	}
	return dir, nil
}

// putAside takes a folder away by another name, which needs no time and cannot fail by
// what is in it.
func putAside(dir, name string) error {
	for n := 0; ; n++ {
		err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("%s%s-%d", oldDir, name, n)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
}

func removeOld(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, oldDir+"*"))
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// reset gives up what was asked for.
func reset(dir string, warn func(format string, args ...any)) error {
	asked := filepath.Join(filepath.Dir(dir), deployment.UpperReset)
	paths, err := readReset(asked)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil { // a wish is not worth a boot
		warn("what is to be given up of the writable layer cannot be read: %v", err)
	}
	for _, path := range paths {
		if path == "" {
			if err := putAside(dir, upperDir); err != nil {
				return err
			}
		} else if err := giveUp(filepath.Join(dir, upperDir), path); err != nil {
			warn("giving up %s: %v", path, err)
		}
	}
	if err := os.Remove(asked); err != nil {
		warn("what was given up of the writable layer will be given up again: %v", err)
	}
	return nil
}

// giveUp removes one path of the layer, out of which no link leads.
func giveUp(upper, path string) error {
	root, err := os.OpenRoot(upper)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return root.RemoveAll(path)
}

// readReset returns paths below the root file system, "" for all of it.
func readReset(file string) (paths []string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxReset))
	for _, path := range deployment.ParseReset(text) {
		paths = append(paths, strings.TrimPrefix(path, "/"))
	}
	return paths, err
}
