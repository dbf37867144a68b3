package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// A Watchdog cancels an exchange in which nothing comes for a while.
type Watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	rate   int64 // least bytes a second
}

// Watch begins to watch an exchange, which goes on with Context.
func Watch(ctx context.Context, t Timing) *Watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watchdog{ctx: ctx, cancel: cancel, idle: t.Idle, rate: t.MinRate}
	w.timer = time.AfterFunc(t.Idle, func() { cancel(ErrIdle) })
	return w
}

// Context is the exchange's.
func (w *Watchdog) Context() context.Context { return w.ctx }

// Kick says that something came.
func (w *Watchdog) Kick() { w.timer.Reset(w.idle) }

// Stop ends the exchange.
func (w *Watchdog) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// Cause replaces the error of a cancelled exchange by why it was cancelled.
func (w *Watchdog) Cause(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch why := context.Cause(w.ctx); {
	case why == ErrIdle:
		return fmt.Errorf("%w (%s)", ErrIdle, w.idle)
	case errors.Is(why, ErrSlow):
		return why
	}
	return err
}

// A watchedBody ends in ErrIdle when the server falls silent, and in ErrSlow
// when it sends less than it has to, over as long as it may be silent: a byte now
// and then is no more than silence. The time that its reader takes between reads
// does not count.
type watchedBody struct {
	io.ReadCloser
	w *Watchdog
	pace
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.w.Kick()
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	b.weigh(b.w, n, time.Since(began))
	return n, b.w.Cause(err)
}

// Received watches what a server sends.
func (w *Watchdog) Received(body io.ReadCloser) io.ReadCloser {
	return &watchedBody{ReadCloser: body, w: w}
}

// Sent watches what a server takes.
func (w *Watchdog) Sent(body io.ReadCloser) io.ReadCloser {
	return &sentBody{ReadCloser: body, w: w}
}

// A pace is how fast bytes come or go.
type pace struct {
	bytes int64
	since time.Duration // spent waiting for them
}

// weigh ends the exchange if they are too few.
func (p *pace) weigh(w *Watchdog, n int, took time.Duration) {
	p.bytes += int64(n)
	if p.since += took; p.since < w.idle {
		return
	}
	if float64(p.bytes) < float64(w.rate)*p.since.Seconds() {
		w.cancel(fmt.Errorf("%w: %d bytes in %s, and not %d a second", ErrSlow, p.bytes, p.since.Round(time.Millisecond), w.rate))
	}
	*p = pace{}
}

func (b *watchedBody) Close() error {
	b.w.Stop()
	return b.ReadCloser.Close()
}

// A sentBody is what a request sends. The time that its source takes does not
// count as the server's silence. A server that takes a byte now and then is as one
// that takes none.
type sentBody struct {
	io.ReadCloser
	w      *Watchdog
	closed atomic.Bool
	pace
	n    int // bytes that are being sent, since from
	from time.Time
}

// errSentBefore ends a request that was begun anew, with another login, after
// some of its body was gone.
var errSentBefore = errors.New("the login ran out on the way")

func (b *sentBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errSentBefore
	}
	b.w.timer.Stop()
	if b.n > 0 {
		b.weigh(b.w, b.n, time.Since(b.from))
	}
	n, err := b.ReadCloser.Read(p)
	b.n, b.from = n, time.Now()
	b.w.Kick()
	return n, err
}

func (b *sentBody) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}
