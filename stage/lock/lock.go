// Package lock lets one process at a time do one kind of work on a stage, and
// has the stage's file system writable for as long as any does.
//
// A lock is a file, held by flock(2), which ends with its process. On a booted
// machine the stage's file system is mounted read-only: who takes a lock makes
// it writable, and the last one to let go of any of the stage's locks, in
// whichever process, makes it read-only again.
package lock

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/flock"
)

// ErrHeld is the beginning of what is said of a lock that another has.
var ErrHeld = errors.New("another run holds")

// A Place is what has locks: a folder whose file system is made writable for
// them.
type Place struct {
	Dir string
	// Gate is a folder on the same file system that no other user may open:
	// whoever begins or ends to write passes it alone.
	Gate string
}

// A Lock allows its holder to write to the place.
type Lock struct {
	name    string
	file    *os.File
	writing *writing
}

// Take takes the lock in the file at path, which is what's in messages. If it is
// held, Take fails with ErrHeld or, with wait, waits until ctx ends.
//
// Nothing is written by locking alone.
func (p Place) Take(ctx context.Context, path, what string, wait bool) (*Lock, error) {
	name := what + " " + p.Dir
	f, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	l := &Lock{name: name, file: f}
	if err = take(ctx, f, what, wait); err == nil {
		l.writing, err = p.begin(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
	}
	return l, nil
}

// Create makes the file of a lock. It may be there: whoever makes it at the same
// time gets the same file.
func Create(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path)))
}

// Make calls make while the place is writable, without a lock: for what a lock
// is to lie in, and what others may make at the same time.
func (p Place) Make(ctx context.Context, make func() error) error {
	w, err := p.begin(ctx)
	if err != nil {
		return err
	}
	return errors.Join(make(), w.end())
}

// open refuses a lock that another user may open: who can open a file can hold
// its lock for ever.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		remedy := "0600"
		if info.IsDir() {
			remedy = "0700"
		}
		err = fmt.Errorf("other users may open %s, and so hold it for ever; run `chmod %s` on it, or mount a file system that has no modes, as vfat, with umask=0077", path, remedy)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func take(ctx context.Context, f *os.File, what string, wait bool) error {
	if !wait {
		err := flock.Try(f)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("%w the %s's lock%s; wait with --wait, or try again later", ErrHeld, what, holder(f))
		}
		return err
	}
	err := flock.Exclusive(ctx, f)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w the %s's lock%s: %w", ErrHeld, what, holder(f), err)
	}
	return err
}

// Release lets go of the lock. The file system is made read-only if it was and
// nobody else writes.
func (l *Lock) Release() error {
	if l.file == nil {
		return nil
	}
	err := errors.Join(l.writing.end(), flock.Release(l.file))
	l.file = nil
	if err != nil {
		return fmt.Errorf("release lock of %s: %w", l.name, err)
	}
	return nil
}

// holder says which process has the lock, as /proc/locks tells it; "" if that
// is not known.
func holder(f *os.File) string {
	var st unix.Stat_t
	data, err := os.ReadFile("/proc/locks")
	if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return ""
	}
	pid := lockHolder(data, st.Dev, st.Ino)
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// lockHolder finds a file's flock in the text of /proc/locks
// (proc_locks(5)): "1: FLOCK  ADVISORY  WRITE 708 08:02:12345 0 EOF".
func lockHolder(locks []byte, dev, ino uint64) int {
	want := fmt.Sprintf("%02x:%02x:%d", unix.Major(dev), unix.Minor(dev), ino)
	lines := bufio.NewScanner(bytes.NewReader(locks))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1] != "FLOCK" || fields[5] != want {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
