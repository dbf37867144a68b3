package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// maxIndex bounds what is read of an index: that of 9 million objects.
const maxIndex = 256 << 20

// maxBorrowedList bounds the list of repos that a repo borrows from.
const maxBorrowedList = 1 << 20

// Open opens a repo's folder objects, and those that it borrows from (git's
// info/alternates).
func Open(ctx context.Context, dir string) (*Store, error) {
	s := &Store{ctx: ctx, opened: map[string]bool{}, buf: newBuffer()}
	s.inflater = newInflater(&s.meter)
	if err := s.open(dir, 0); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(dir string, depth int) error {
	loose, err := openLoose(dir)
	if err != nil {
		return err
	}
	s.loose = append(s.loose, loose)
	if err := s.openPacks(dir); err != nil {
		return err
	}
	others, err := readBorrowed(filepath.Join(dir, "info", "alternates"))
	if err != nil || depth == maxBorrowed {
		return ignoreMissing(err)
	}
	for line := range strings.Lines(string(others)) {
		other := strings.TrimRight(line, "\n")
		if other == "" || strings.HasPrefix(other, "#") {
			continue
		}
		if !filepath.IsAbs(other) {
			other = filepath.Join(dir, other)
		}
		if slices.ContainsFunc(s.loose, func(l looseDir) bool { return l.dir == filepath.Clean(other) }) {
			continue
		}
		if err := s.open(filepath.Clean(other), depth+1); err != nil {
			return fmt.Errorf("reading what is borrowed: %w", err)
		}
	}
	return nil
}

// maxLooks is how often packs are looked for that replace those which went meanwhile.
const maxLooks = 4

// openPacks opens a folder's packs that are not open yet. Somebody else may be joining them just now: who finds
// one gone that was listed looks again for what has replaced it. One that goes on being
// listed and is not there was never whole.
func (s *Store) openPacks(dir string) error {
	for range maxLooks {
		indexes, err := filepath.Glob(filepath.Join(escapeGlob(dir), "pack", "*.idx"))
		if err != nil {
			return err
		}
		gone := false
		for _, path := range indexes {
			if s.opened[path] {
				continue
			}
			p, err := openStored(path)
			if errors.Is(err, fs.ErrNotExist) {
				gone = true
				continue
			}
			if err != nil {
				return err
			}
			s.opened[path] = true
			s.packs = append(s.packs, p)
			s.meter.from += p.end
		}
		if !gone {
			break
		}
	}
	return nil
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// openFile opens one of a repo's files, which may be anybody's: what is no
// file could make the reader wait for ever.
func openFile(path string) (*os.File, os.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func readIndex(path string) ([]byte, error) { return readFile(path, maxIndex) }

// readBorrowed reads the list of repos that a repo borrows from.
func readBorrowed(path string) ([]byte, error) { return readFile(path, maxBorrowedList) }

func readFile(path string, most int64) ([]byte, error) {
	f, info, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d KiB, of which at most %d are read", path, info.Size()>>10, most>>10)
	}
	return io.ReadAll(io.LimitReader(f, most))
}
