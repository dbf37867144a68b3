package watcher

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/kmsg"
	"github.com/gitboot/gitboot/initramfs/early/ledger"
	"github.com/gitboot/gitboot/internal/ctxio"
)

const (
	// noteLimit is how long writing may take: somebody may be about to make the
	// stage read-only, and a disk may have died.
	noteLimit = time.Minute
	syncLimit = 10 * time.Second
	// goodTries is how often a good boot is noted, goodPause apart.
	goodTries = 10
	goodPause = 30 * time.Second
	// restartLimit is how long drivers may take to stop their devices.
	restartLimit = 20 * time.Second
	// grace is what the watchdog gives beyond all limits.
	grace = 3 * time.Minute
)

func newWatcher(t Task, log *kmsg.Logger) *watcher {
	w := &watcher{health: t.Health, ledger: ledger.Ledger{Cmdline: t.Cmdline, Device: t.Device}, log: log, layers: t.Layers, enforce: t.Enforce, began: time.Now()}
	w.init = func() initSystem { return initOf("/proc", "/run") }
	w.decided = func() error { return nil }
	return w
}

// begin notes that the boot has begun, for it may end in a way that nobody can
// note.
func (w *watcher) begin(ctx context.Context) {
	makeConfirmDir()
	b, err := w.ledger.Record("", "")
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, noteLimit)
		defer cancel()
		err = w.ledger.Begin(ctx, b)
	}
	if err != nil {
		w.log.Say(kmsg.Warning, "noting that this boot began: %v", err)
	}
	w.decided = func() error {
		if now, err := deployment.ReadBoot(deployment.StageMount, b.ID); err == nil && now.Verdict != "" {
			return errDecided
		}
		return nil
	}
}

// watch waits for the verdict and carries it out.
func (w *watcher) watch(ctx context.Context) {
	guard := w.guard()
	err := w.judge(ctx)
	switch {
	case err == nil:
		guard.release()
		w.good(ctx)
		return
	case ctx.Err() != nil:
		w.log.Say(kmsg.Notice, "told to end; this boot is not judged")
	case errors.Is(err, errDecided):
		w.log.Say(kmsg.Notice, "%v", err)
	case w.init().stopping(ctx):
		w.log.Say(kmsg.Notice, "the machine is shutting down; this boot is not judged")
	default:
		w.bad(err)
		return
	}
	guard.release()
}

// good notes that the boot is.
func (w *watcher) good(ctx context.Context) {
	warnings := w.warnings(ctx)
	for try := range goodTries {
		err := w.noteGood(ctx, warnings)
		if err == nil {
			w.log.Say(kmsg.Notice, "deployment %s is good", w.ledger.Cmdline.Deployment)
			return
		}
		w.log.Say(kmsg.Error, "noting that this boot is good: %v", err)
		if try == goodTries-1 || ctxio.Sleep(ctx, goodPause) != nil {
			return
		}
	}
}

func (w *watcher) noteGood(ctx context.Context, warnings []string) error {
	ctx, cancel := context.WithTimeout(ctx, noteLimit)
	defer cancel()
	b, err := w.ledger.Record(deployment.BootGood, "")
	if err != nil {
		return err
	}
	b.Warnings, b.Damaged = warnings, w.damaged()
	return errors.Join(w.ledger.MarkGood(ctx), w.ledger.Write(ctx, b))
}

// bad notes why, as far as that goes, and restarts the machine. The watchdog is
// not released: it helps if the kernel cannot.
func (w *watcher) bad(why error) {
	w.log.Say(kmsg.Error, "deployment %s is bad: %v", w.ledger.Cmdline.Deployment, why)
	unlessHung(noteLimit, func() {
		b, err := w.ledger.Record(deployment.BootBad, why.Error())
		b.Damaged = w.damaged()
		if b.ID != "" {
			ctx, cancel := context.WithTimeout(context.Background(), noteLimit)
			defer cancel()
			err = errors.Join(err, w.ledger.Write(ctx, b))
		}
		if err != nil {
			w.log.Say(kmsg.Error, "noting that: %v", err)
		}
	})
	w.log.Say(kmsg.Error, "restarting, so that the boot loader tries again or falls back")
	unlessHung(syncLimit, unix.Sync)
	unlessHung(restartLimit, func() { _ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) })
	// at once, whatever is left undone (Documentation/admin-guide/sysrq.rst)
	_ = os.WriteFile("/proc/sysrq-trigger", []byte("b"), 0)
}

// unlessHung waits for do, but no longer than it may take.
func unlessHung(limit time.Duration, do func()) {
	done := make(chan struct{})
	go func() {
		do()
		close(done)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
