package clone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/quarantine"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// quarantinePrefix begins the names of folders for packs that are not admitted
// yet. What a cut leaves of them is removed as it is found.
const quarantinePrefix = "quarantine-"

// An Intake is a pack in quarantine: a folder of the clone, which is read as a
// clone that borrows all else. Whoever has one holds the clone's lock.
type Intake struct {
	*Clone
	// Tip is judged while the pack is read; nil = none. Stop ends what is being
	// read.
	Tip  *pack.Tip
	Stop func()

	into   *Clone
	name   string // the pack's, once it is received
	unlock func()
}

// Intake makes room for what is fetched. Who calls it holds the clone's lock,
// which unlock gives up in the end.
func (c *Clone) Intake(unlock func()) (in *Intake, err error) {
	if err = c.Ensure(); err == nil {
		in, err = newIntake(c)
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("making the clone %s: %w", c.dir, err)
	}
	in.unlock = unlock
	return in, nil
}

func newIntake(c *Clone) (*Intake, error) {
	dir, err := os.MkdirTemp(c.dir, quarantinePrefix)
	if err != nil {
		return nil, err
	}
	in := &Intake{into: c, Stop: func() {}, unlock: func() {}, Clone: &Clone{dir: dir, log: c.log, progress: c.progress, tip: c.tip}}
	objects, err := filepath.Abs(c.objects())
	if err == nil {
		err = os.MkdirAll(in.packDir(), 0o700)
	}
	if err == nil {
		err = os.Mkdir(filepath.Join(in.objects(), "info"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(in.objects(), "info", "alternates"), []byte(objects+"\n"), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, in.Discard())
	}
	in.reopen()
	return in, nil
}

// Discard removes what was not admitted, and gives up the lock.
func (in *Intake) Discard() error {
	defer in.unlock()
	return os.RemoveAll(in.dir)
}

// Receive has a process of its own read the pack that fill writes.
func (in *Intake) Receive(ctx context.Context, fill func(io.Writer) error) error {
	var files quarantine.Files
	for name, f := range map[string]**os.File{"pack": &files.Pack, "idx": &files.Index, "scratch": &files.Scratch} {
		var err error
		if *f, err = os.OpenFile(filepath.Join(in.packDir(), "tmp_"+name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o400); err != nil {
			return err
		}
		defer (*f).Close()
	}
	to := &metered{sink: in.progress}
	got, err := quarantine.Receive(ctx, func(w io.Writer) error { to.w = w; return fill(to) }, in.Stop, files, in.Tip)
	to.end(err)
	if err != nil {
		return fmt.Errorf("receiving objects: %w", err)
	}
	for _, f := range []*os.File{files.Pack, files.Index} {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	in.name = "pack-" + got.Sum.String()
	return in.rename(filepath.Join(in.packDir(), "tmp_"), filepath.Join(in.packDir(), in.name+"."), func() error { return nil })
}

// Admit makes what was received a part of the clone: the index last, as it is
// what makes the pack's objects visible.
func (in *Intake) Admit() error {
	if in.name == "" {
		return nil // nothing was lacking
	}
	from, to := filepath.Join(in.packDir(), in.name+"."), filepath.Join(in.into.packDir(), in.name+".")
	err := in.rename(from, to, func() error {
		return errors.Join(durable.SyncDir(in.into.packDir()), fault.Point("source.pack.published"))
	})
	if err != nil {
		return err
	}
	in.into.reopen()
	return durable.SyncDir(in.into.packDir())
}

func (in *Intake) rename(from, to string, between func() error) error {
	if err := os.Rename(from+"pack", to+"pack"); err != nil {
		return err
	}
	if err := between(); err != nil {
		return err
	}
	return os.Rename(from+"idx", to+"idx")
}

// metered bounds what is received, and reports how much it is, if it is much.
type metered struct {
	w    io.Writer
	sink progress.Sink
	task *progress.Task
	n    int64
}

func (m *metered) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	switch {
	case m.n > transport.MaxFetch:
		return 0, fmt.Errorf("there is more than %d GiB; keep images out of the config repo, and name them by URL and sha256", transport.MaxFetch>>30)
	case m.task != nil:
		m.task.Add(int64(n))
	case m.n >= shownFrom:
		m.task = progress.Start(m.sink, "fetch config repo", 0)
		m.task.Add(m.n)
	}
	return n, err
}

func (m *metered) end(err error) {
	if m.task != nil {
		m.task.End(err)
	}
}
