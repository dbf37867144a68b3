package lock

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/flock"
)

// A writing is one holder's part in that the file system is writable. Whoever
// made it so, or came while it was so for others, owes that it becomes
// read-only; the last one of those pays.
//
// The gate carries both locks that this takes. Its flock is held for the
// moment in which somebody begins or ends. A read lock on its first byte, of an
// open file description (fcntl(2), F_OFD_SETLK), stands as long as one owes: it
// can be had of a folder on a read-only file system, and asked about without
// being taken. Both end with their process.
type writing struct {
	gate  *os.File
	mount *mount // made read-only at the end; nil: nothing is owed
}

// begin makes the place writable.
func (p Place) begin(ctx context.Context) (*writing, error) {
	gate, err := open(p.Gate)
	if err != nil {
		return nil, err
	}
	w := &writing{gate: gate}
	if err := w.enter(ctx, p.Dir); err != nil {
		return nil, errors.Join(err, gate.Close())
	}
	return w, nil
}

func (w *writing) enter(ctx context.Context, dir string) error {
	if err := flock.Exclusive(ctx, w.gate); err != nil {
		return fmt.Errorf("wait for %s: %w", w.gate.Name(), err)
	}
	defer w.pass()
	readOnly, err := isReadOnly(dir)
	if err != nil {
		return err
	}
	owed, err := w.owedByOthers()
	if err != nil || !readOnly && !owed {
		return err
	}
	m, err := mountOf(dir)
	if err != nil {
		return err
	}
	if err := w.owe(unix.F_RDLCK); err != nil {
		return err
	}
	if readOnly {
		if err := m.writable(dir); err != nil {
			return err
		}
	}
	w.mount = m
	return nil
}

// end makes the file system read-only if that is owed and nobody else writes.
func (w *writing) end() (err error) {
	defer func() { err = errors.Join(err, w.gate.Close()) }()
	if w.mount == nil {
		return nil
	}
	if err := flock.Exclusive(context.Background(), w.gate); err != nil { // for a moment
		return err
	}
	defer w.pass()
	// Closing alone would leave it owed for as long as a process that is just
	// being started shares the file.
	if err := w.owe(unix.F_UNLCK); err != nil {
		return err
	}
	if others, err := w.owedByOthers(); err != nil || others {
		return err
	}
	return w.mount.readOnly()
}

func (w *writing) pass() { _ = unix.Flock(int(w.gate.Fd()), unix.LOCK_UN) }

func (w *writing) owe(kind int16) error {
	return unix.FcntlFlock(w.gate.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Len: 1})
}

// owedByOthers asks who would be in the way of a write lock, which is not taken.
func (w *writing) owedByOthers() (bool, error) {
	ask := unix.Flock_t{Type: unix.F_WRLCK, Len: 1}
	if err := unix.FcntlFlock(w.gate.Fd(), unix.F_OFD_GETLK, &ask); err != nil {
		return false, fmt.Errorf("ask who writes to %s: %w", w.gate.Name(), err)
	}
	return ask.Type != unix.F_UNLCK, nil
}
