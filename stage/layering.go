package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage/internal/tarfs"
)

// writebackPeriod is how often the kernel is asked to begin writing the
// output to the disk, so that the fsync at the end finds little to do.
const writebackPeriod = 100 * time.Millisecond

// A layering turns one layer's tar into a squashfs.
type layering struct {
	*adding
	log    *slog.Logger
	temp   *os.File
	read   int64   // bytes of the tar that were read
	taking *taking // what lies below, when the layer has been read
}

// errAgain says that the layer must be read again.
var errAgain = errors.New("the layer must be read again")

// run packs the layer into temp; it reads it a second time if one reading
// cannot tell what stays, and where.
func (l *layering) run(ctx context.Context) error {
	rw := tarfs.New(tarfs.Bounds{Entries: l.stage.Entries, Sparse: l.Largest})
	task := progress.StartLayer(l.Progress, "squash "+l.Source.String(), l.DiffID, l.Size)
	err := l.pass(ctx, task, rw, rw.Stream)
	if errors.Is(err, errAgain) {
		l.log.Debug("layer replaces its own files, reading it again", "layer", l.DiffID)
		task.End(nil)
		task = progress.StartLayer(l.Progress, "squash again "+l.Source.String(), l.DiffID, l.Size)
		err = l.pass(ctx, task, rw, rw.Replay)
	}
	task.End(err)
	if err == nil {
		l.report(rw.Report())
	}
	return err
}

// pass reads the layer once through rewrite into a new tar2sqfs.
func (l *layering) pass(outer context.Context, task *progress.Task, rw *tarfs.Rewriter, rewrite func(io.Writer, io.Reader) error) error {
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	q, err := startSquash(ctx, l.temp.Name())
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
func (l *layering) readThrough(ctx context.Context, task *progress.Task, rewrite func(io.Reader) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := l.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	p := startPump(ctx, &durable.Reserving{Reader: body, Dir: l.stage.Dir(), Reserve: l.stage.Reserve}, task, l.Blob == "")
	if err = rewrite(p); err == nil {
		err = errors.Join(p.drain(), p.check(l.DiffID))
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
func (l *layering) lend(ctx context.Context, rw *tarfs.Rewriter) (err error) {
	if l.taking != nil {
		return nil // this is the second reading
	}
	want := lacksOf(rw.Lacks())
	if want == nil {
		l.taking = &taking{}
		return nil
	}
	l.leave()
	below, err := l.below(ctx)
	if err != nil {
		return err
	}
	if l.taking, err = l.stage.take(want, below); err != nil {
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

// close ends what lies below.
func (l *layering) close() {
	if l.taking != nil {
		_ = l.taking.close() // was only read
	}
}

// startWriteback has the output written to the disk while it grows.
func (l *layering) startWriteback() (stop func()) {
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
				_ = unix.SyncFileRange(int(l.temp.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
			}
		}
	}()
	return func() { close(quit); <-ended }
}

// whyFailed finds out whether tar2sqfs, which says no more than "I/O error",
// failed because the file system is full: then more cannot be written either.
func (l *layering) whyFailed(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	info, serr := l.temp.Stat()
	if serr != nil {
		return errors.Join(err, serr)
	}
	if _, werr := l.temp.WriteAt(make([]byte, blockSize), info.Size()); werr != nil {
		return fmt.Errorf("%w: %w", err, werr)
	}
	return err
}

// estimate says how big the squashfs would have become, judging by what part
// of the tar made what is there.
func (l *layering) estimate() int64 {
	info, err := l.temp.Stat()
	if err != nil || l.read == 0 {
		return l.Size / 2
	}
	if l.Size <= l.read {
		return info.Size() + blockSize
	}
	return int64(float64(info.Size()) * float64(l.Size) / float64(l.read))
}

// report logs what the user may miss in the layer.
func (l *layering) report(r tarfs.Report) {
	l.log.Debug("layer rewritten", "layer", l.DiffID, "entries", r.Entries, "whiteouts", r.Whiteouts,
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
			l.log.Info(lost.what, "layer", l.Source.String(), "entries", lost.n)
		}
	}
}
