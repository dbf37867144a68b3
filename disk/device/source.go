package device

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
)

// A Source is what is written: a disk of which all is known that has to be on it.
type Source struct {
	*piece.Disk
	file *os.File
}

// OpenSource opens a disk in a file, byte for byte: what was never written to there has
// to be empty.
func OpenSource(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the disk to write: %w", err)
	}
	s := &Source{Disk: new(piece.Disk), file: f}
	if err := s.look(path); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *Source) look(path string) error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if s.Size = info.Size(); !info.Mode().IsRegular() || s.Size < 2*head {
		return &RefusedError{path, "is no disk in a file", "make one with `gitboot disk image`"}
	}
	magic := make([]byte, 4)
	if _, err := s.file.ReadAt(magic, 0); err != nil {
		return err
	}
	if bytes.Equal(magic, []byte("QFI\xfb")) {
		return &RefusedError{path, "is a disk in QEMU's format", "`qemu-img convert -O raw " + path + " disk.img` makes one that can be written"}
	}
	if s.Table, err = gpt.Read(s.file, s.Size); err != nil && !errors.Is(err, gpt.ErrNone) {
		return fmt.Errorf("%s: %w", path, err)
	}
	end := int64(0)
	err = piece.Extents(s.file, func(at, size int64) {
		if at > end {
			s.Zeros(end, at-end)
		}
		s.File(at, path, at, size)
		end = at + size
	})
	if s.Size > end {
		s.Zeros(end, s.Size-end)
	}
	return err
}

// Close gives the file back.
func (s *Source) Close() error { return errors.Join(s.List.Close(), s.file.Close()) }
