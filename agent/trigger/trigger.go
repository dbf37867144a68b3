// Package trigger says when to look at the config repo: every so often, when a
// time has come, when a repo on this machine changes, and when the process is told
// to. It says only
// that, and at whose wish; nothing of what triggers is believed.
package trigger

import (
	"context"
	"hash/fnv"
	"log/slog"
	"os"
	"time"
)

// What asks for a look, for the record of the runs that follow.
const (
	Poll    = "poll"
	Change  = "change" // of a repo on this machine
	Signal  = "signal"
	Command = "command" // by a person, through the socket
	// Schedule is a time that has come.
	Schedule = "schedule"
)

// Options say what triggers.
type Options struct {
	// Every is how often to look when nothing else asks for it. Name spreads the
	// looks: machines that were started together do not ask together.
	Every time.Duration
	Name  string
	// Repo is the folder of a repo on this machine that is watched, "" for none.
	Repo string
	// Due says when something is to be done by the clock that Now tells, the zero
	// time for never; nil for nothing.
	Due, Now func() time.Time
	// Signals ask for a look, nil for none.
	Signals <-chan os.Signal
	Log     *slog.Logger
}

// Run sends what asks for a look until ctx ends, the first at once. What is asked
// for while nobody receives is asked for once.
func Run(ctx context.Context, opts Options) <-chan string {
	out := make(chan string, 1)
	out <- Poll
	ask := func(why string) {
		select {
		case out <- why:
		default: // a look that is to come is as good
		}
	}
	go poll(ctx, opts, ask)
	if opts.Due != nil {
		go tick(ctx, opts.Now, opts.Due, func() { ask(Schedule) })
	}
	if opts.Signals != nil {
		go forward(ctx, opts.Signals, func() { ask(Signal) })
	}
	if opts.Repo != "" {
		go watch(ctx, opts.Repo, opts.Log, func() { ask(Change) })
	}
	return out
}

// poll asks at intervals, of which the first is a part of one that depends on the
// machine's name.
func poll(ctx context.Context, opts Options, ask func(string)) {
	timer := time.NewTimer(spread(opts.Name, opts.Every))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(opts.Every)
			ask(Poll)
		}
	}
}

// spread is a machine's share of an interval: more than nothing, at most all of
// it, and always the same.
func spread(name string, every time.Duration) time.Duration {
	hash := fnv.New64a()
	hash.Write([]byte(name)) // never fails
	return time.Duration(hash.Sum64()%uint64(max(every, 1))) + 1
}

func forward(ctx context.Context, from <-chan os.Signal, ask func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-from:
			ask()
		}
	}
}
