// Package piece says what lies on a disk before there is one: which bytes are where,
// and what they are taken from. So the same disk becomes a file, is written onto a
// device, or is told to somebody who has the files, and each writes no more than there
// is.
package piece

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/internal/fault"
)

// A Disk is one that is made of pieces. What lies in none of them may be anything.
type Disk struct {
	Size  int64
	Table gpt.Table
	List
}

// A List is pieces that do not overlap. It is closed when all is read.
type List struct {
	Pieces []Piece
	held   []io.Closer
}

// A Piece is bytes that lie side by side.
type Piece struct {
	// At is where on the disk they begin.
	At, Size int64
	// File is the path of what they are taken from, From where they begin there. ""
	// is of those that are in memory, or zeros.
	File   string
	From   int64
	memory io.ReaderAt
}

// Zero reports whether a piece is all zeros.
func (p Piece) Zero() bool { return p.File == "" && p.memory == nil }

// Text adds what is known.
func (l *List) Text(at int64, text []byte) {
	l.Pieces = append(l.Pieces, Piece{At: at, Size: int64(len(text)), memory: bytes.NewReader(text)})
}

// Zeros adds what has to be empty.
func (l *List) Zeros(at, size int64) { l.Pieces = append(l.Pieces, Piece{At: at, Size: size}) }

// File adds a part of a file of this computer.
func (l *List) File(at int64, path string, from, size int64) {
	l.Pieces = append(l.Pieces, Piece{At: at, Size: size, File: path, From: from})
}

// Written adds what was written to a file, which the list closes in the end. What was
// written and is zeros takes no room.
func (l *List) Written(at int64, f *os.File) error {
	l.held = append(l.held, f)
	var failed error
	err := Extents(f, func(begin, size int64) {
		failed = errors.Join(failed, runs(f, begin, size, func(begin, size int64, zero bool) {
			if zero {
				l.Zeros(at+begin, size)
				return
			}
			l.Pieces = append(l.Pieces, Piece{At: at + begin, Size: size, From: begin, memory: f})
		}))
	})
	return errors.Join(err, failed)
}

// grain is how much is zeros, or is not, as a whole.
const grain = 64 << 10

// runs goes through a part of a file, and tells of what is zeros and what is not.
func runs(f io.ReaderAt, begin, size int64, found func(begin, size int64, zero bool)) error {
	data, empty := make([]byte, grain), make([]byte, grain)
	from, zeros := begin, false
	for at := begin; at < begin+size; {
		n := min(grain-at%grain, begin+size-at)
		if _, err := f.ReadAt(data[:n], at); err != nil {
			return err
		}
		if is := bytes.Equal(data[:n], empty[:n]); is != zeros {
			if at > from {
				found(from, at-from, zeros)
			}
			from, zeros = at, is
		}
		at += n
	}
	found(from, begin+size-from, zeros)
	return nil
}

// Extents tells where in a file something was written (lseek(2), SEEK_DATA).
func Extents(f *os.File, found func(at, size int64)) error {
	for at := int64(0); ; {
		begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return nil
		}
		if err != nil {
			return err
		}
		if at, err = unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE); err != nil {
			return err
		}
		found(begin, at-begin)
	}
}

// Join adds another list's pieces, which are closed with this one's.
func (l *List) Join(other List) {
	l.Pieces = append(l.Pieces, other.Pieces...)
	l.held = append(l.held, other.held...)
}

// Bytes is how much all are.
func (l *List) Bytes() (n int64) {
	for _, p := range l.Pieces {
		n += p.Size
	}
	return n
}

// Close gives back what the pieces were in.
func (l *List) Close() error {
	var all []error
	for _, c := range l.held {
		all = append(all, c.Close())
	}
	return errors.Join(all...)
}

// An Opened is a piece that is read, from its own beginning.
type Opened struct {
	Piece
	file *os.File
}

// Open opens a piece.
func (p Piece) Open() (*Opened, error) {
	o := &Opened{Piece: p}
	if p.File == "" {
		return o, nil
	}
	f, err := os.Open(p.File)
	if err != nil {
		return nil, err
	}
	o.file, o.memory = f, f
	return o, nil
}

// ReadAt fills data with what lies at an offset of the piece.
func (o *Opened) ReadAt(data []byte, at int64) (int, error) {
	if o.memory == nil {
		clear(data)
		return len(data), nil
	}
	n, err := o.memory.ReadAt(data, o.From+at)
	if n == len(data) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close gives its file back.
func (o *Opened) Close() error {
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// Fill writes a disk to a file that is empty. Each part that was copied is told.
func (d *Disk) Fill(ctx context.Context, image *os.File, copied func(int64)) error {
	if err := image.Truncate(d.Size); err != nil {
		return err
	}
	if err := d.Table.Write(image, d.Size); err != nil {
		return err
	}
	for _, p := range d.Pieces {
		if p.Zero() {
			continue
		}
		if err := fault.Point("disk.fill"); err != nil {
			return err
		}
		if err := p.fill(ctx, image, copied); err != nil {
			return fmt.Errorf("put %s onto the disk: %w", p.name(), err)
		}
	}
	return nil
}

func (p Piece) name() string {
	if p.File != "" {
		return p.File
	}
	return fmt.Sprintf("what lies at byte %d", p.At)
}
