package page

import (
	"context"
	"sync"
	"time"

	"github.com/gitboot/gitboot/agent/page/view"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

// fresh is how long what was read of the stage holds without an event: commands
// of other processes change it, too.
const fresh = 2 * time.Second

// facts are what is known, read once for all who look.
type facts struct {
	opts *Options

	mu     sync.Mutex
	staged report.Status
	broken error
	runs   []state.Run
	event  uint64
	read   time.Time
}

// get is what is known now.
func (f *facts) get(ctx context.Context) view.Facts {
	now := f.opts.Board.Snapshot()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.event != now.LastEvent || f.opts.Now().Sub(f.read) > fresh {
		f.staged, f.broken = f.opts.Report(ctx)
		if f.runs, f.broken = f.history(f.broken); ctx.Err() == nil {
			f.event, f.read = now.LastEvent, f.opts.Now()
		}
	}
	out := view.Facts{Live: now, Staged: f.staged, Broken: f.broken, Runs: f.runs, Logs: map[string]string{}, Now: f.opts.Now()}
	for _, run := range now.Runs {
		for _, task := range run.Tasks {
			if task.At == "" || task.Image == "" {
				continue
			}
			if text, err := f.opts.Tail(task.Image); err == nil { // without a log, its task is shown
				out.Logs[task.Image] = text
			}
		}
	}
	return out
}

func (f *facts) history(broken error) ([]state.Run, error) {
	runs, err := f.opts.Runs()
	if broken == nil {
		broken = err
	}
	return runs, broken
}
