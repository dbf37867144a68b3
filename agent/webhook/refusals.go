package webhook

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// perSecond is how much is read in a second of bodies whose signature turns
	// out wrong, and burst how much at once. A tenth of a processor hashes many
	// times that.
	perSecond = 4 << 20
	burst     = 2 * perSecond
	// flat is what a request costs besides its body.
	flat = 1 << 10
)

// A budget bounds what those are read who fail: what is taken comes back with
// time, or at once from who turns out to be right.
type budget struct {
	mu    sync.Mutex
	spent int64
	at    time.Time
}

func (b *budget) take(n int64, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.at.IsZero() {
		back := min(now.Sub(b.at), time.Minute).Seconds() * perSecond
		b.spent = max(0, b.spent-int64(max(back, 0)))
	}
	b.at = now
	if b.spent+n+flat > burst {
		return false
	}
	b.spent += n + flat
	return true
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spent = max(0, b.spent-n-flat)
}

// quiet is how long the log says nothing more of hooks that were refused.
const quiet = time.Minute

// refusals tell the log of the first one, and then once a minute how many there
// were.
type refusals struct {
	log *slog.Logger

	mu     sync.Mutex
	silent bool
	count  int
	last   refusal
	from   string
}

// note counts one. Nothing that a sender has written is logged.
func (r *refusals) note(why refusal, from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.from = why, from
	if r.silent {
		r.count++
		return
	}
	r.log.Warn("a webhook was refused", "why", why.why, "from", from)
	r.silent = true
	time.AfterFunc(quiet, r.sum)
}

func (r *refusals) sum() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == 0 {
		r.silent = false
		return
	}
	r.log.Warn("webhooks were refused", "count", r.count, "last_why", r.last.why, "last_from", r.from)
	r.count = 0
	time.AfterFunc(quiet, r.sum)
}
