package watcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/kmsg"
	"github.com/gitboot/gitboot/initramfs/early/ledger"
	"github.com/gitboot/gitboot/internal/ctxio"
)

const (
	// firstPause is between looks at the beginning, longestPause later.
	firstPause   = 250 * time.Millisecond
	longestPause = 3 * time.Second
	// started is how long process 1 may take until it has come to its scripts.
	started = 2 * time.Second
	// urlPause is between requests.
	urlPause = 5 * time.Second
)

// errDecided is that nothing is left to be judged.
var errDecided = errors.New("somebody else has judged this boot")

// errUnended is of a check that time ran out for.
var errUnended = errors.New("it had not ended by then")

// A watcher judges one boot.
type watcher struct {
	health  deployment.Health
	ledger  ledger.Ledger
	log     *kmsg.Logger
	layers  []string // as Task.Layers
	enforce bool
	began   time.Time
	// init is what process 1 is now, decided is errDecided once it is.
	init    func() initSystem
	decided func() error
}

// judge waits until the boot is good. An error says why it is not, or is that of
// ctx, or errDecided.
func (w *watcher) judge(ctx context.Context) error {
	if err := w.within(ctx, w.health.Deadline, "it was not well", w.untilWell); err != nil {
		return err
	}
	if w.health.Confirm == "" {
		return nil
	}
	w.log.Say(kmsg.Notice, "all is well; this boot is to be confirmed within %d s: by `gitboot boot confirm`, or a file %s", w.health.ConfirmWithin, deployment.ConfirmFile)
	return w.within(ctx, w.health.ConfirmWithin, "nobody confirmed it", w.untilConfirmed)
}

// within does something in time, or says what had not come until then.
func (w *watcher) within(ctx context.Context, seconds int, not string, do func(context.Context) error) error {
	timed, cancel := context.WithTimeoutCause(ctx, time.Duration(seconds)*time.Second, errUnended)
	defer cancel()
	err := do(timed)
	if err != nil && timed.Err() != nil && ctx.Err() == nil && !errors.Is(err, errDecided) {
		return fmt.Errorf("%s within %d s: %w", not, seconds, err)
	}
	return err
}

// untilWell waits until all is well, and stays so for as long as it has to.
func (w *watcher) untilWell(ctx context.Context) error {
	ended, required := w.ended(), append(w.whole(), checksOf(w.health.Required, w.init)...)
	for {
		if err := w.until(ctx, ended); err != nil {
			return err
		}
		if err := w.until(ctx, required); err != nil {
			return err
		}
		if w.health.Settle == 0 {
			return nil
		}
		if err := w.pause(ctx, time.Duration(w.health.Settle)*time.Second); err != nil {
			return fmt.Errorf("it has not settled: %w", err)
		}
		failed, why := failing(ctx, append(ended, required...))
		if len(failed) == 0 {
			return nil
		}
		w.log.Say(kmsg.Warning, "it was well, and is not after %d s: %s", w.health.Settle, why)
	}
}

// ended is the check of what Health.After waits for.
func (w *watcher) ended() []check {
	if w.health.After != deployment.AfterDefault {
		return nil
	}
	return []check{{"the boot has not ended", func(ctx context.Context) error {
		if time.Since(w.began) < started {
			return errors.New("init has just started")
		}
		return w.init().ended(ctx)
	}}}
}

// until waits until each of the checks was well once. What it says is what the last
// look found that was not cut off.
func (w *watcher) until(ctx context.Context, left []check) error {
	var why string
	for wait := firstPause; ; wait = min(wait*3/2, longestPause) {
		var found string
		if left, found = failing(ctx, left); len(left) == 0 {
			return nil
		}
		if ctx.Err() == nil || why == "" {
			why = found
		}
		if err := w.pause(ctx, wait); err != nil {
			if errors.Is(err, errDecided) {
				return err
			}
			return errors.New(why)
		}
	}
}

// failing are those of the checks that are not well, and why.
func failing(ctx context.Context, checks []check) (left []check, why string) {
	var reasons []string
	for _, c := range checks {
		if err := c.run(ctx); err != nil {
			left = append(left, c)
			reasons = append(reasons, c.what+": "+err.Error())
		}
	}
	return left, strings.Join(reasons, "; ")
}

// untilConfirmed waits for the file, or for the URL to answer.
func (w *watcher) untilConfirmed(ctx context.Context) error {
	url, asked, why := w.health.ConfirmURL, time.Time{}, deployment.ConfirmFile+" did not come"
	for {
		makeConfirmDir()
		if confirmed() {
			return nil
		}
		if url != "" && time.Since(asked) > urlPause {
			err := get(ctx, url)
			if err == nil {
				return nil
			}
			asked, why = time.Now(), fmt.Sprintf("%s did not come; %s: %v", deployment.ConfirmFile, url, err)
		}
		if err := w.pause(ctx, time.Second); err != nil {
			if errors.Is(err, errDecided) {
				return err
			}
			return errors.New(why)
		}
	}
}

// pause waits for d, ctx's end, or that nothing is left to be judged.
func (w *watcher) pause(ctx context.Context, d time.Duration) error {
	if err := ctxio.Sleep(ctx, d); err != nil {
		return err
	}
	return w.decided()
}

// warnings are what should be well and is not.
func (w *watcher) warnings(ctx context.Context) (out []string) {
	for _, c := range checksOf(w.health.Wanted, w.init) {
		if err := c.run(ctx); err != nil {
			out = append(out, c.what+": "+err.Error())
			w.log.Say(kmsg.Warning, "%s: %v", c.what, err)
		}
	}
	return out
}
