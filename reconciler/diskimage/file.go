package diskimage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
)

// The forms of a file that is a disk: byte for byte, or as QEMU keeps those that are
// mostly empty.
const (
	Raw   = "raw"
	QCOW2 = "qcow2"
)

// A File is what a disk is written to.
type File struct {
	Path, Format string
	// Force has it replace what is there.
	Force bool
}

// An ExistsError says that there is a file already.
type ExistsError struct{ Path string }

func (e *ExistsError) Error() string {
	return fmt.Sprintf("%s is there already; name another file, or give --force to replace it", e.Path)
}

// Check refuses a file that could not be written, before anything is done for it.
func (f File) Check() error {
	if f.Format == QCOW2 {
		if err := tool.Installed("qemu-img"); err != nil {
			return fmt.Errorf("write a disk as qcow2: %w; or write it as raw", err)
		}
	}
	dir, err := os.Stat(filepath.Dir(f.Path))
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	there, err := os.Stat(f.Path)
	switch {
	case !dir.IsDir():
		return fmt.Errorf("write %s: %s is no folder", f.Path, filepath.Dir(f.Path))
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("write %s: %w", f.Path, err)
	case !there.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file; make the disk as a file, and write that with `gitboot disk write`", f.Path)
	case !f.Force:
		return &ExistsError{f.Path}
	}
	return nil
}

// Write makes the disk and publishes it as a file: until then, nothing is there under
// its name, or what was.
func (p *Plan) Write(ctx context.Context, f File, sink progress.Sink) error {
	if err := f.Check(); err != nil {
		return err
	}
	if f.Format == QCOW2 {
		if err := p.room(filepath.Dir(p.temp), tempElsewhere); err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return p.publish(ctx, f, func(out *os.File) error { return p.write(ctx, out, f.Format, sink) })
}

// publish has a file written, and gives it its name.
func (p *Plan) publish(ctx context.Context, f File, write func(*os.File) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", f.Path, p.inFile(f.Path, err))
		}
	}()
	dir := filepath.Dir(f.Path)
	if err := p.room(dir, elsewhere); err != nil {
		return err
	}
	out, err := durable.Create(dir, 0o600)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := write(out.File); err != nil {
		return err
	}
	if err := errors.Join(fault.Point("disk.publishing"), context.Cause(ctx), f.Check()); err != nil { // it has taken a while
		return err
	}
	return out.Publish(f.Path)
}

func (p *Plan) write(ctx context.Context, out *os.File, format string, sink progress.Sink) error {
	if format != QCOW2 {
		return p.Make(ctx, out, sink)
	}
	raw, err := os.Create(filepath.Join(p.temp, "raw"))
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := p.Make(ctx, raw, sink); err != nil {
		return err
	}
	task := progress.Start(sink, "converting it to qcow2", 0)
	_, _, err = tool.Run(ctx, time.Unix(0, 0), "", "qemu-img", "convert", "-f", Raw, "-O", QCOW2, raw.Name(), out.Name())
	task.End(err)
	return errors.Join(err, os.Remove(raw.Name()))
}
