package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

const (
	mib = 1 << 20
	// head is where the old partition table is, and the new one comes to be.
	head = mib
	part = 4 * mib
)

// Fits refuses a disk that is larger than this.
func (d *Device) Fits(s *piece.Disk) error {
	if d.Size < s.Size {
		return &RefusedError{d.Path, fmt.Sprintf("has %s, and what is to be written %s", progress.Bytes(d.Size), progress.Bytes(s.Size)), "take a larger disk, or make a smaller one with --size"}
	}
	return nil
}

// Write writes a disk's pieces onto this, reads them back, and then makes it one that
// boots: its partition table comes last, with its copy at the end of the disk, and the
// last partition grows as far as that if it is one that does.
func (d *Device) Write(ctx context.Context, s *piece.Disk, sink progress.Sink) error {
	if err := d.Fits(s); err != nil {
		return err
	}
	if err := d.wipe(s); err != nil {
		return fmt.Errorf("erase the partition table of %s: %w", d.Path, err)
	}
	for _, pass := range []struct {
		name string
		do   func(*piece.Opened, int64, int64) error
	}{{"writing " + d.Name, d.put}, {"reading " + d.Name + " back", d.compare}} {
		if err := d.pass(ctx, s, sink, pass.name, pass.do); err != nil {
			return &CutError{d.Path, fmt.Errorf("%s: %w", pass.name, err)}
		}
	}
	if err := fault.Point("disk.table"); err != nil {
		return &CutError{d.Path, err}
	}
	if err := d.finish(ctx, s); err != nil {
		return fmt.Errorf("write the partition table of %s: %w", d.Path, err)
	}
	return nil
}

// A CutError says that a disk was not written to the end.
type CutError struct {
	Path string
	Err  error
}

func (e *CutError) Error() string { return e.Err.Error() + "; " + e.Left() }
func (e *CutError) Unwrap() error { return e.Err }

// Left says what is on the disk then.
func (e *CutError) Left() string {
	return "what is on " + plain.Visible(e.Path) + " boots nothing: write it again"
}

// pass goes through all but the head, part by part, and has it on the disk then.
func (d *Device) pass(ctx context.Context, s *piece.Disk, sink progress.Sink, name string, do func(*piece.Opened, int64, int64) error) (err error) {
	task := progress.Start(sink, name, s.Bytes())
	defer func() { task.End(err) }()
	for _, p := range s.Pieces {
		err := d.parts(p, func(o *piece.Opened, at, n int64) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := errors.Join(fault.Point("disk.part"), do(o, at, n)); err != nil {
				return fmt.Errorf("at byte %d: %w", o.At+at, err)
			}
			task.Add(n)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return d.flush()
}

// parts opens a piece and does something with each part of it that is not in the head.
func (d *Device) parts(p piece.Piece, do func(o *piece.Opened, at, n int64) error) (err error) {
	from := max(0, head-p.At)
	if from >= p.Size {
		return nil
	}
	o, err := p.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	for at := from; at < p.Size; at += part {
		if err := do(o, at, min(part, p.Size-at)); err != nil {
			return err
		}
	}
	return nil
}

// flush has all on the disk, and nothing of it in memory, so that it is read from there.
func (d *Device) flush() error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	if d.plain {
		return unix.Fadvise(int(d.file.Fd()), 0, 0, unix.FADV_DONTNEED)
	}
	return unix.IoctlSetInt(int(d.file.Fd()), unix.BLKFLSBUF, 0)
}

// wipe takes away what says what is on the disk: at its beginning, and at its end,
// where the copy of its table is, and what RAIDs write of themselves. Likewise where
// partitions are to be: of a file system that was there before, no sign may be left.
func (d *Device) wipe(s *piece.Disk) error {
	ends := []int64{0, d.Size/mib*mib - head}
	for _, p := range s.Table.Partitions {
		ends = append(ends, p.Start, p.Start+p.Length-head)
	}
	for _, at := range ends {
		if err := d.zero(max(at, 0), min(2*head, d.Size-at)); err != nil {
			return err
		}
	}
	return d.file.Sync()
}

// zero writes zeros, or has the disk do so.
func (d *Device) zero(at, n int64) error {
	if !d.plain && at%mib == 0 && n%mib == 0 {
		if zeroOut(d.file, at, n) == nil {
			return nil
		}
	}
	_, err := d.file.WriteAt(make([]byte, n), at)
	return err
}

func (d *Device) put(o *piece.Opened, at, n int64) error {
	if o.Zero() {
		return d.zero(o.At+at, n)
	}
	data := make([]byte, n)
	if _, err := o.ReadAt(data, at); err != nil {
		return err
	}
	_, err := d.file.WriteAt(data, o.At+at)
	return err
}

func (d *Device) compare(o *piece.Opened, at, n int64) error {
	want, got := make([]byte, n), make([]byte, n)
	if _, err := o.ReadAt(want, at); err != nil {
		return err
	}
	if _, err := d.file.ReadAt(got, o.At+at); err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return errors.New("the disk does not hold what was written; it is damaged")
	}
	return nil
}

// finish writes the head.
func (d *Device) finish(ctx context.Context, s *piece.Disk) error {
	data, err := d.first(s)
	if err != nil {
		return err
	}
	table, grown := s.Table.Over(d.Size)
	if grown != nil {
		if err := d.grow(ctx, *grown); err != nil {
			return &CutError{d.Path, fmt.Errorf("grow the last partition: %w", err)}
		}
	}
	if _, err := d.file.WriteAt(data, 0); err != nil {
		return err
	}
	if s.Table.UUID != "" {
		if err := table.Write(d.file, d.Size); err != nil {
			return err
		}
	}
	if err := d.flush(); err != nil {
		return err
	}
	got := make([]byte, gpt.Sector)
	if _, err := d.file.ReadAt(got, 0); err != nil || !bytes.Equal(got[:440], data[:440]) {
		return errors.Join(err, errors.New("the disk does not hold what was written; it is damaged"))
	}
	if !d.plain {
		_ = unix.IoctlSetInt(int(d.file.Fd()), unix.BLKRRPART, 0) // kernels without partitions know none
	}
	return nil
}

// first is the head.
func (d *Device) first(s *piece.Disk) ([]byte, error) {
	data := make([]byte, head)
	for _, p := range s.Pieces {
		if p.At >= head {
			continue
		}
		o, err := p.Open()
		if err != nil {
			return nil, err
		}
		_, err = o.ReadAt(data[p.At:min(p.At+p.Size, head)], 0)
		if err := errors.Join(err, o.Close()); err != nil {
			return nil, err
		}
	}
	return data, nil
}
