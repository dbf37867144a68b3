package device

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/tool"
	"github.com/gitboot/gitboot/internal/progress"
)

const (
	mib = 1 << 20
	// head is where the old partition table is, and the new one comes to be.
	head  = mib
	piece = 4 * mib
)

// A Source is a disk in a file, byte for byte.
type Source struct {
	*os.File
	Size  int64
	table gpt.Table
}

// OpenSource opens a disk in a file.
func OpenSource(path string) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the disk to write: %w", err)
	}
	s := &Source{File: f}
	if err := s.look(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (s *Source) look() error {
	info, err := s.Stat()
	if err != nil {
		return err
	}
	if s.Size = info.Size(); !info.Mode().IsRegular() || s.Size < 2*head {
		return &RefusedError{s.Name(), "is no disk in a file", "make one with `gitboot disk image`"}
	}
	magic := make([]byte, 4)
	if _, err := s.ReadAt(magic, 0); err != nil {
		return err
	}
	if bytes.Equal(magic, []byte("QFI\xfb")) {
		return &RefusedError{s.Name(), "is a disk in QEMU's format", "`qemu-img convert -O raw " + s.Name() + " disk.img` makes one that can be written"}
	}
	if s.table, err = gpt.Read(s, s.Size); err != nil && !errors.Is(err, gpt.ErrNone) {
		return fmt.Errorf("%s: %w", s.Name(), err)
	}
	return nil
}

// Fits refuses a source that is larger than the disk.
func (d *Device) Fits(s *Source) error {
	if d.Size < s.Size {
		return &RefusedError{d.Path, fmt.Sprintf("has %s, and what is to be written %s", progress.Bytes(d.Size), progress.Bytes(s.Size)), "take a larger disk, or make a smaller one with --size"}
	}
	return nil
}

// Write writes a source onto the disk, reads it back, and then makes it one that
// boots: its partition table comes last, with its copy at the end of the disk, and the
// last partition grows as far as that if it is one that does.
func (d *Device) Write(ctx context.Context, s *Source, sink progress.Sink) error {
	if err := d.Fits(s); err != nil {
		return err
	}
	if err := d.wipe(); err != nil {
		return fmt.Errorf("erase the partition table of %s: %w", d.Path, err)
	}
	for _, pass := range []struct {
		name string
		do   func(*Source, int64, int64) error
	}{{"writing " + d.Name, d.put}, {"reading " + d.Name + " back", d.compare}} {
		if err := d.pass(ctx, s, sink, pass.name, pass.do); err != nil {
			return fmt.Errorf("%s: %w; what is on it boots nothing: write it again", pass.name, err)
		}
	}
	if err := d.finish(ctx, s); err != nil {
		return fmt.Errorf("write the partition table of %s: %w", d.Path, err)
	}
	return nil
}

// pass goes through all but the head, piece by piece, and has it on the disk then.
func (d *Device) pass(ctx context.Context, s *Source, sink progress.Sink, name string, do func(*Source, int64, int64) error) (err error) {
	task := progress.Start(sink, name, s.Size-head)
	defer func() { task.End(err) }()
	for at := int64(head); at < s.Size; at += piece {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(piece, s.Size-at)
		if err := do(s, at, n); err != nil {
			return fmt.Errorf("at byte %d: %w", at, err)
		}
		task.Add(n)
	}
	return d.flush()
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
// where the copy of its table is, and what RAIDs write of themselves.
func (d *Device) wipe() error {
	for _, at := range []int64{0, d.Size/mib*mib - head} {
		if err := d.zero(at, min(2*head, d.Size-at)); err != nil {
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

func (d *Device) put(s *Source, at, n int64) error {
	if hole(s, at, n) {
		return d.zero(at, n)
	}
	data := make([]byte, n)
	if _, err := s.ReadAt(data, at); err != nil {
		return err
	}
	_, err := d.file.WriteAt(data, at)
	return err
}

// hole reports whether a piece of a file was never written to.
func hole(s *Source, at, n int64) bool {
	next, err := unix.Seek(int(s.Fd()), at, unix.SEEK_DATA)
	return errors.Is(err, unix.ENXIO) || err == nil && next >= at+n
}

func (d *Device) compare(s *Source, at, n int64) error {
	want, got := make([]byte, n), make([]byte, n)
	if !hole(s, at, n) {
		if _, err := s.ReadAt(want, at); err != nil {
			return err
		}
	}
	if _, err := d.file.ReadAt(got, at); err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return errors.New("the disk does not hold what was written; it is damaged")
	}
	return nil
}

// finish writes the head.
func (d *Device) finish(ctx context.Context, s *Source) error {
	data := make([]byte, head)
	if _, err := s.ReadAt(data, 0); err != nil {
		return err
	}
	table, grown := s.table.Over(d.Size)
	if grown != nil {
		if err := d.grow(ctx, *grown); err != nil {
			return fmt.Errorf("grow the last partition: %w", err)
		}
	}
	if _, err := d.file.WriteAt(data, 0); err != nil {
		return err
	}
	if s.table.UUID != "" {
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

// grow makes a partition's ext4 as large as the partition.
func (d *Device) grow(ctx context.Context, p gpt.Partition) error {
	if err := d.share(); err != nil { // resize2fs wants it for itself
		return err
	}
	at := fmt.Sprintf("/proc/%d/fd/%d?offset=%d", os.Getpid(), d.file.Fd(), p.Start)
	_, _, err := tool.Run(ctx, time.Now(), "", "resize2fs", "-f", at, strconv.FormatInt(p.Length/1024, 10)+"k")
	return err
}
