// Package ledger notes how a boot goes: in its record on the stage, and, once it
// is good, in the boot loader's block.
//
// The stage's file system is mounted read-only but for the moment of writing.
// Where the layers were copied to memory it is not mounted at all: then it is, for
// that moment, where nobody else sees it.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/kmsg"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/stage/lock"
)

// A Ledger belongs to one boot.
type Ledger struct {
	Cmdline deployment.Cmdline
	// Device is that of the stage.
	Device blockdev.Device
	// Root is where the image's /dev, /proc and /run are, "" once that is /.
	Root string
}

// Record is what is to be noted now.
func (l Ledger) Record(verdict, reason string) (deployment.Boot, error) {
	id, err := word(l.Root + randomDir + "/boot_id")
	if err != nil {
		return deployment.Boot{}, fmt.Errorf("reading the id of this boot: %w", err)
	}
	up := uptime()
	b := deployment.Boot{
		ID: id, Machine: l.Cmdline.Machine, Deployment: l.Cmdline.Deployment,
		Entry: l.Cmdline.Entry, Trying: l.Cmdline.Trying, Via: l.Cmdline.Via,
		Started: time.Now().Add(-up).UTC().Truncate(time.Second), Verdict: verdict, Reason: reason,
	}
	if verdict != "" {
		b.Seconds = up.Round(100 * time.Millisecond).Seconds()
	}
	if verdict == deployment.BootBad {
		b.Log, err = kmsg.Tail(l.Root+kmsg.File, deployment.MaxBootLog, "gitboot-")
	}
	return b, err
}

// uptime is since the kernel started, sleep included.
func uptime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // since Linux 2.6.39
	return time.Duration(t.Nano())
}

// Alone writes a record while nobody else can be writing to the stage.
func (l Ledger) Alone(b deployment.Boot) error {
	return l.stage(l.alone, func(dir string) error { return write(dir, b) })
}

// alone does something while the mounted stage is writable, and nobody else writes.
func (l Ledger) alone(do func(dir string) error) error {
	dir := l.Root + deployment.StageMount
	const flags = unix.MS_NODEV | unix.MS_NOSUID
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("making the stage writable: %w", err)
	}
	return errors.Join(do(dir), lock.ReadOnly(dir, flags))
}

// Crashed notes what another boot's kernel kept of its log when it ended, while nobody
// else can be writing. It returns that boot's id.
func (l Ledger) Crashed(c deployment.Crash) (id string, err error) {
	err = l.stage(l.alone, func(dir string) (err error) {
		id, err = crashed(dir, c, l.Root+randomDir)
		return err
	})
	return id, err // which the call has set
}

// crashed adds it to the record of that boot. Of one that has none, as nobody had come
// to write one, it makes it.
func crashed(stage string, c deployment.Crash, random string) (string, error) {
	boots, err := deployment.ReadBoots(stage)
	if err != nil {
		return "", err
	}
	running, err := word(filepath.Join(random, "boot_id"))
	if err != nil {
		return "", err
	}
	b, known := c.Of(boots, running)
	if !known {
		if b.ID, err = word(filepath.Join(random, "uuid")); err != nil {
			return "", err
		}
	}
	b.Crash = c.Text
	return b.ID, write(stage, b)
}

// randomDir is where the kernel has the id of this boot, and others that nobody has.
const randomDir = "/proc/sys/kernel/random"

func word(file string) (string, error) {
	data, err := os.ReadFile(file)
	return strings.TrimSpace(string(data)), err
}

// FallBack has the boot loader boot another entry next, while nobody else can be
// writing: once, or until the next run has found this one whole again.
func (l Ledger) FallBack() error {
	return l.block(l.alone, func(file string) error {
		if l.Cmdline.Block.InNames() {
			return useUp(file, l.Cmdline.Entry)
		}
		return askOnce(file, l.Cmdline.Fallback)
	})
}

// block does something with the boot loader's block, which may lie on the mounted stage,
// where that is made writable by way.
func (l Ledger) block(way writable, do func(file string) error) error {
	at := l.Cmdline.Block
	if at == (deployment.Location{}) {
		return l.stage(way, func(dir string) error { return do(filepath.Join(dir, deployment.BlockFile)) })
	}
	device, ok := blockdev.Find(at.Device).All()
	if !ok {
		return fmt.Errorf("writing the boot loader's block: there is no %s", at.Device)
	}
	return l.apart(device, func(dir string) error { return do(filepath.Join(dir, at.Path)) })
}

// Begin writes the first record of this boot as Write does, with fewer flushes of the disk:
// the image's init waits for it.
func (l Ledger) Begin(ctx context.Context, b deployment.Boot) error {
	return l.stage(beside(ctx), func(dir string) error { return begin(dir, b) })
}

// Write writes a record beside whoever else writes to the stage.
func (l Ledger) Write(ctx context.Context, b deployment.Boot) error {
	return l.stage(beside(ctx), func(dir string) error { return write(dir, b) })
}

// MarkGood tells the boot loader that the entry needs no more to be counted, as
// far as it counts that entry.
func (l Ledger) MarkGood(ctx context.Context) error {
	entry := l.Cmdline.Entry
	if entry == "" {
		return nil
	}
	return l.block(beside(ctx), func(file string) error { return good(l.Cmdline.Block, file, entry) })
}

// good has what counts boots at a place, which is file now, say that an entry is good. Where
// the firmware boots that only once, it boots it always from then on, and first: if what
// counts is not written any more, the next boot is judged again.
func good(at deployment.Location, file, entry string) error {
	switch {
	case at.InNames():
		return endCount(file, entry)
	case at.ByTryboot():
		if err := tryboot.Keep(filepath.Dir(filepath.Dir(file)), entry); err != nil {
			return err
		}
	}
	return markGood(file, entry)
}

// writable does something in the folder of the mounted stage while that is writable.
type writable func(do func(dir string) error) error

// stage does something in the stage's folder: where it is mounted, by way; else apart.
func (l Ledger) stage(way writable, do func(dir string) error) error {
	if l.mounted() {
		return way(do)
	}
	return l.apart(l.Device, func(dir string) error { return do(filepath.Join(dir, l.Cmdline.Stage.Path)) })
}

// mounted reports whether the stage is where the running system finds it.
func (l Ledger) mounted() bool {
	_, err := os.Stat(filepath.Join(l.Root+deployment.StageMount, "objects"))
	return err == nil
}

// beside is writable while others may be writing, too.
func beside(ctx context.Context) writable {
	const dir = deployment.StageMount
	return func(do func(dir string) error) error {
		return lock.Place{Dir: dir, Gate: filepath.Join(dir, "objects")}.Make(ctx, func() error { return do(dir) })
	}
}

// write replaces a boot's record, if there is one.
func write(stage string, b deployment.Boot) error {
	return put(stage, b, func(path string, data []byte) error { return durable.WriteFile(path, data, 0o600) })
}

// begin writes a record where there is none. What a cut leaves of it counts as not there,
// so that it is not written aside: a journal is committed once then, and not twice.
func begin(stage string, b deployment.Boot) error { return put(stage, b, writeInPlace) }

func put(stage string, b deployment.Boot, how func(path string, data []byte) error) error {
	data, err := b.Encode()
	if err != nil {
		return err
	}
	path := filepath.Join(stage, filepath.FromSlash(b.Path()))
	if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return how(path, data)
}
