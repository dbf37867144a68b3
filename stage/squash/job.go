package squash

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage/internal/tarfs"
)

// writebackPeriod is how often the kernel is asked to begin writing the
// output to the disk, so that the fsync at the end finds little to do.
const writebackPeriod = 100 * time.Millisecond

// A Job turns one layer's tar into a squashfs.
type Job struct {
	Tar
	// Entries bounds how many names the layer may have; 0 means tarfs's default.
	Entries int
	// Into becomes the squashfs. Its file system keeps Reserve bytes free.
	Into    *os.File
	Reserve int64
	// Below waits for the layers below and returns their files, lowest first.
	// It is asked only if the layer needs something of them.
	Below func(context.Context) ([]string, error)
	Log   *slog.Logger

	read   int64   // bytes of the tar that were read
	taking *Taking // what lies below, when the layer has been read
}

// Taken is what the layer took from those below, when it has been packed.
func (l *Job) Taken() *Taking { return l.taking }

// probeSize is how much is tried to be written to a file system that seems full,
// and what a squashfs has beside its data.
const probeSize = 1 << 20

// errAgain says that the layer must be read again.
var errAgain = errors.New("the layer must be read again")

// Run packs the layer; it reads it a second time if one reading
// cannot tell what stays, and where.
func (l *Job) Run(ctx context.Context) error {
	rw := tarfs.New(tarfs.Bounds{Entries: l.Entries, Sparse: l.Largest})
	task := progress.StartLayer(l.Progress, "squash "+l.Tar.String(), l.DiffID, l.Size)
	err := l.pass(ctx, task, rw, rw.Stream)
	if errors.Is(err, errAgain) {
		l.Log.Debug("layer replaces its own files, reading it again", "layer", l.DiffID)
		task.End(nil)
		task = progress.StartLayer(l.Progress, "squash again "+l.Tar.String(), l.DiffID, l.Size)
		err = l.pass(ctx, task, rw, rw.Replay)
	}
	task.End(err)
	if err == nil {
		l.report(rw.Report())
	}
	return err
}

// pass reads the layer once through rewrite into a new tar2sqfs.
func (l *Job) pass(outer context.Context, task *progress.Task, rw *tarfs.Rewriter, rewrite func(io.Writer, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	q, err := startSquash(ctx, l.Into.Name())
	if err != nil {
		return err
	}
	defer l.startWriteback()()
	err = l.readThrough(ctx, task, func(r io.Reader) error { return rewrite(q, r) })
	if err == nil {
		err = l.lend(ctx, rw)
	}
	if err == nil && rw.Again() {
		err = errAgain
	}
	if err == nil {
		err = rw.Finish()
	}
	if err == nil {
		return q.finish()
	}
	cancel(err)
	why := q.abandon()
	switch {
	case outer.Err() != nil:
		return context.Cause(outer)
	case why != nil && errors.Is(err, unix.EPIPE):
		return why
	}
	return err
}

// readThrough reads the whole layer, verifies it and closes it.
func (l *Job) readThrough(ctx context.Context, task *progress.Task, rewrite func(io.Reader) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	p := startPump(ctx, &durable.Reserving{Reader: body, Dir: filepath.Dir(l.Into.Name()), Reserve: l.Reserve}, task, l.Blob == "")
	if err = rewrite(p); err == nil {
		err = errors.Join(p.drain(), p.check(l.DiffID))
	} else if errors.Is(err, tar.ErrHeader) {
		err = cmp.Or(p.drain(), err) // of other bytes than were promised that is told
	}
	l.read = p.count
	if err != nil {
		cancel(err)
		p.stop()
	}
	return err
}

// lend answers what the layer lacks out of those below it. Only a layer that
// lacks something waits for them.
func (l *Job) lend(ctx context.Context, rw *tarfs.Rewriter) (err error) {
	if l.taking != nil {
		return nil // this is the second reading
	}
	want := lacksOf(rw.Lacks())
	if want == nil {
		l.taking = &Taking{}
		return nil
	}
	below, err := l.Below(ctx)
	if err != nil {
		return err
	}
	if l.taking, err = Take(want, below); err != nil {
		return err
	}
	for range 2 { // folders that move may need others
		for _, lack := range rw.Lacks() {
			if err := l.taking.answer(rw, lack); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close ends reading what lies below.
func (l *Job) Close() {
	if l.taking != nil {
		_ = l.taking.Close() // was only read
	}
}

// startWriteback has the output written to the disk while it grows.
func (l *Job) startWriteback() (stop func()) {
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(writebackPeriod)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				// Only a hint: where it does not work, fsync does all.
				_ = unix.SyncFileRange(int(l.Into.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// WhyFailed finds out whether tar2sqfs, which says no more than "I/O error",
// failed because the file system is full: then more cannot be written either.
func (l *Job) WhyFailed(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	info, serr := l.Into.Stat()
	if serr != nil {
		return errors.Join(err, serr)
	}
	if _, werr := l.Into.WriteAt(make([]byte, probeSize), info.Size()); werr != nil {
		return fmt.Errorf("%w: %w", err, werr)
	}
	return err
}

// Estimate says how big the squashfs would have become, judging by what part
// of the tar made what is there.
func (l *Job) Estimate() int64 {
	info, err := l.Into.Stat()
	if err != nil || l.read == 0 {
		return l.Size / 2
	}
	if l.Size <= l.read {
		return info.Size() + probeSize
	}
	return int64(float64(info.Size()) * float64(l.Size) / float64(l.read))
}

// report logs what the user may miss in the layer.
func (l *Job) report(r tarfs.Report) {
	l.Log.Debug("layer rewritten", "layer", l.DiffID, "entries", r.Entries, "whiteouts", r.Whiteouts,
		"opaque", r.Opaque, "parents", r.Parents, "lent", r.Lent, "xattrs", r.Xattrs, "metadata", r.Metadata)
	for _, lost := range []struct {
		n    int
		what string
	}{
		{r.ACLs, "POSIX ACLs are dropped: squashfs cannot hold them"},
		{r.Sockets, "sockets are dropped"},
		{r.Devices, "character devices 0/0 are taken as whiteouts, as overlayfs would"},
	} {
		if lost.n > 0 {
			l.Log.Info(lost.what, "layer", l.Tar.String(), "entries", lost.n)
		}
	}
}
