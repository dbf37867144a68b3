package stage

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process writes to the stage. The error that
// carries it names the process where the kernel tells.
var ErrLocked = errors.New("another run holds the stage's lock")

// lockPeriod is how often a waiting Lock tries again: flock(2) cannot be
// waited for together with a context.
const lockPeriod = 100 * time.Millisecond

// A Lock allows its holder to write to the stage.
type Lock struct {
	stage   *Stage
	file    *os.File
	remount *mount // was read-only and is to be again
}

// Lock takes the stage for writing. If it is taken, Lock fails with ErrLocked
// or, with wait, waits until ctx ends. A stage whose mount is read-only is
// made writable for the lock's time.
//
// Nothing is written by locking alone.
func (s *Stage) Lock(ctx context.Context, wait bool) (*Lock, error) {
	f, err := s.openLock()
	if err != nil {
		return nil, fmt.Errorf("lock stage %s: %w", s.Dir(), err)
	}
	l := &Lock{stage: s, file: f}
	if err := l.take(ctx, wait); err != nil {
		return nil, errors.Join(fmt.Errorf("lock stage %s: %w", s.Dir(), err), f.Close())
	}
	if l.remount, err = writable(s.Dir()); err != nil {
		return nil, errors.Join(fmt.Errorf("lock stage %s: %w", s.Dir(), err), f.Close())
	}
	return l, nil
}

// openLock refuses a lock that another user may open: who can open a file can
// hold its lock for ever.
func (s *Stage) openLock() (*os.File, error) {
	f, err := os.OpenFile(s.lockFile(), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("other users may open %s, and so hold it for ever; run `chmod 0600` on it", f.Name())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *Lock) take(ctx context.Context, wait bool) error {
	tick := time.NewTicker(lockPeriod)
	defer tick.Stop()
	for {
		err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case err == unix.EINTR:
			continue
		case err != unix.EWOULDBLOCK:
			return err
		case !wait:
			return fmt.Errorf("%w%s; wait with --wait, or try again later", ErrLocked, holder(l.file))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w%s: %w", ErrLocked, holder(l.file), context.Cause(ctx))
		}
	}
}

// Release gives the stage back, read-only if it was.
func (l *Lock) Release() error {
	if l.file == nil {
		return nil
	}
	var err error
	if l.remount != nil {
		err = l.remount.readOnly()
	}
	err = errors.Join(err, l.file.Close())
	l.file = nil
	if err != nil {
		return fmt.Errorf("release lock of stage %s: %w", l.stage.Dir(), err)
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
