package durable

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// pieceSize is how much is written at once: so much that a disk is busy with it while
// the next is read, and that Go's scheduler, which looks every 20 µs for a while after each
// write that blocks, has few of them. Half as much takes 4 % more of a processor, twice as
// much 2 % less. Any alignment that a disk may want divides it.
const pieceSize = 8 << 20

// Stream writes what r gives into f, from where f is, and past the page cache where the
// file system can do that: it is less work, and leaves other programs their memory. What
// is read again soon is better written through the cache. One piece is written while the
// next is read.
func Stream(f *os.File, r io.Reader) (n int64, err error) {
	memory, err := unix.Mmap(-1, 0, 2*pieceSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return 0, fmt.Errorf("memory to write from: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(memory)) }()
	// Only a wish: of few large pages, a tenth of a fetch's processor time less goes into
	// having them, and having them written.
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE)
	past(f, true)
	defer past(f, false)
	piece, next := memory[:pieceSize], memory[pieceSize:]
	written := make(chan error, 1)
	written <- nil
	for {
		m, rerr := fill(piece, r)
		if err := <-written; err != nil {
			return n, err
		}
		n += int64(m)
		if rerr == nil {
			go func(piece []byte) { written <- put(f, piece) }(piece)
			piece, next = next, piece
			continue
		}
		past(f, false) // which takes whole blocks alone
		_, err := f.Write(piece[:m])
		if rerr != io.EOF {
			err = errors.Join(rerr, err)
		}
		return n, err
	}
}

// past has writes go past the page cache, or through it again. A file system that cannot
// refuses here, or when it is written.
func past(f *os.File, cache bool) bool {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return false
	}
	set := flags &^ unix.O_DIRECT
	if cache {
		set |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, set)
	return err == nil && set != flags
}

// put writes one piece, through the cache if it cannot be done past it.
func put(f *os.File, piece []byte) error {
	n, err := f.Write(piece)
	if errors.Is(err, unix.EINVAL) && past(f, false) {
		_, err = f.Write(piece[n:])
	}
	return err
}

// fill reads until the piece is full or r ends, and says how that was.
func fill(piece []byte, r io.Reader) (n int, err error) {
	for n < len(piece) && err == nil {
		var m int
		m, err = r.Read(piece[n:])
		n += m
	}
	return n, err
}
