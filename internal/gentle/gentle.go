// Package gentle reads files for no other reason than to find out whether they can
// be read: from the disk itself, at a bounded rate, after everybody else, and
// without pushing out of memory what others need there.
package gentle

import (
	"context"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// A Pace is how many bytes are read in a second; 0 reads as any program does.
type Pace int64

// Begin makes the calling goroutine's reads give way to those of all others. It
// keeps its thread until it ends, and the thread ends with it.
func (p Pace) Begin() {
	if p <= 0 {
		return
	}
	runtime.LockOSThread()
	// linux/ioprio.h: the class of idle, for this thread. Not every scheduler of
	// disks knows it; the pace is kept all the same.
	const whoProcess, classIdle, classShift = 1, 3, 13
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle<<classShift)
}

// Reader reads a file from its beginning.
func (p Pace) Reader(ctx context.Context, f *os.File) io.Reader {
	if p <= 0 {
		return f
	}
	// what is in memory says nothing of the disk
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	return &reader{ctx: ctx, f: f, pace: p, began: time.Now()}
}

type reader struct {
	ctx   context.Context
	f     *os.File
	pace  Pace
	began time.Time
	read  int64
}

// chunk is read at once: a quarter of a second's share, at most a megabyte.
func (r *reader) chunk() int64 { return max(4<<10, min(1<<20, int64(r.pace)/4)) }

func (r *reader) Read(p []byte) (int, error) {
	due := time.Duration(float64(r.read) / float64(r.pace) * float64(time.Second))
	if wait := due - time.Since(r.began); wait > 0 && ctxio.Sleep(r.ctx, wait) != nil {
		return 0, context.Cause(r.ctx)
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.chunk())])
	_ = unix.Fadvise(int(r.f.Fd()), r.read, int64(n), unix.FADV_DONTNEED)
	r.read += int64(n)
	return n, err
}
