package piece

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// most is how much is copied at once, so that who waits sees it go on.
const most = 16 << 20

// fill copies a piece to where it lies in a file. Between files the kernel does it, and
// shares their blocks where it can.
func (p Piece) fill(ctx context.Context, image *os.File, copied func(int64)) (err error) {
	o, err := p.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	done := int64(0)
	for o.file != nil && done < p.Size && ctx.Err() == nil {
		from, to := p.From+done, p.At+done
		n, err := unix.CopyFileRange(int(o.file.Fd()), &from, int(image.Fd()), &to, int(min(p.Size-done, most)), 0)
		if err != nil || n == 0 {
			break
		}
		// it is on its way to the disk while the next is copied
		_ = unix.SyncFileRange(int(image.Fd()), p.At+done, int64(n), unix.SYNC_FILE_RANGE_WRITE)
		done += int64(n)
		copied(int64(n))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	rest := io.NewSectionReader(o, done, p.Size-done)
	n, err := io.CopyBuffer(writerOnly{io.NewOffsetWriter(image, p.At+done)}, ctxio.Reader(ctx, rest), make([]byte, min(max(rest.Size(), 1), 1<<20)))
	copied(n)
	return err
}

// writerOnly hides that a writer could read for itself.
type writerOnly struct{ io.Writer }
