package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/klauspost/compress/zlib"
)

// A looseDir holds objects in a file each, in folders by their first byte (see
// git's Documentation/gitrepository-layout).
type looseDir struct {
	dir  string
	used [256]bool // which of the folders there are
}

func openLoose(dir string) (looseDir, error) {
	l := looseDir{dir: filepath.Clean(dir)}
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 16, 8); err == nil && len(e.Name()) == 2 {
			l.used[n] = true
		}
	}
	return l, err
}

func (l looseDir) path(name plumbing.Hash) string {
	hex := name.String()
	return filepath.Join(l.dir, hex[:2], hex[2:])
}

func (l looseDir) has(name plumbing.Hash) bool {
	if !l.used[name[0]] {
		return false
	}
	_, err := os.Lstat(l.path(name))
	return err == nil
}

// openLoose opens an object that is in a file of its own, and reads as far as
// its content.
func (s *Store) openLoose(name plumbing.Hash) (io.ReadCloser, head, error) {
	for _, l := range s.loose {
		if !l.used[name[0]] {
			continue
		}
		f, _, err := openFile(l.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, head{}, err
		}
		r, h, err := readLoose(f)
		if err != nil {
			return nil, head{}, errors.Join(fmt.Errorf("reading %s: %w", f.Name(), err), f.Close())
		}
		return r, h, nil
	}
	return nil, head{}, fmt.Errorf("object %s is not there: %w", name, plumbing.ErrObjectNotFound)
}

type looseReader struct {
	*bufio.Reader
	f *os.File
}

func (r looseReader) Close() error { return r.f.Close() }

func readLoose(f *os.File) (io.ReadCloser, head, error) {
	z, err := zlib.NewReader(bufio.NewReaderSize(f, 32<<10))
	if err != nil {
		return nil, head{}, err
	}
	r := bufio.NewReader(z)
	begin, err := r.ReadSlice(0)
	if err != nil {
		return nil, head{}, fmt.Errorf("%w: it begins as no object does", errMalformed)
	}
	word, number, _ := strings.Cut(string(begin[:len(begin)-1]), " ")
	kind, err := plumbing.ParseObjectType(word)
	if err != nil || kind.IsDelta() {
		return nil, head{}, fmt.Errorf("%w: objects of type %q do not exist", errMalformed, word)
	}
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size < 0 {
		return nil, head{}, fmt.Errorf("%w: its size is none", errMalformed)
	}
	return looseReader{r, f}, head{kind: kind, size: size}, nil
}
