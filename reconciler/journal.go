package reconciler

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/workshop"
)

// A journal says in the log how the parts of a poll fare. What fails in the same
// words again and again, as each minute of a night without a network does, is said
// when it begins, once in each pause, and when it is over.
type journal struct {
	log  *slog.Logger
	now  func() time.Time
	said map[string]complaint // by part
}

// A complaint is what fails.
type complaint struct {
	words       string
	since, last time.Time
	times       int
}

// complaintPause is how long a failure that goes on is not said again.
const complaintPause = time.Hour

func newJournal(log *slog.Logger, now func() time.Time) *journal {
	return &journal{log: log, now: now, said: map[string]complaint{}}
}

// failed says why a part has failed.
func (j *journal) failed(ctx context.Context, part string, err error) {
	if errors.As(err, new(*plan.SuspendedError)) {
		j.log.Debug("nothing is changed", "reason", err)
		return
	}
	if ctx.Err() != nil {
		return
	}
	j.complain(slog.LevelError, part, "reconcile failed; the next try is at the next poll", err)
}

// unnoted says that status will not know of a failure, if that is so.
func (j *journal) unnoted(err error) {
	const part = "status"
	if err == nil {
		delete(j.said, part)
		return
	}
	j.complain(slog.LevelWarn, part, "why the run failed is not kept for status", err)
}

// complain says what goes wrong, unless it has said so before.
func (j *journal) complain(level slog.Level, part, what string, err error) {
	now, c := j.now(), j.said[part]
	if !state.SameMessage(c.words, err.Error()) {
		c = complaint{words: err.Error(), since: now}
	}
	c.times++
	said := []any{"error", err}
	if c.times > 1 {
		said = append(said, "since", c.since.Format(time.RFC3339), "times", c.times)
	}
	if !c.last.IsZero() && now.Sub(c.last) < complaintPause {
		level = slog.LevelDebug
	} else {
		c.last = now
	}
	j.said[part] = c
	j.log.Log(context.Background(), level, what, said...)
}

// well says that what has failed in a part is over.
func (j *journal) well(part string) {
	c, failed := j.said[part]
	if !failed {
		return
	}
	delete(j.said, part)
	j.log.Info("what has failed is over", "failed", part, "for", j.now().Sub(c.since).Round(time.Second), "times", c.times)
}

// fails takes what a part's end has failed of, and reports whether it is anything
// that is not only waited for.
func (j *journal) fails(ctx context.Context, part string, err error, images map[string]error) bool {
	failed := maps.Clone(images)
	maps.DeleteFunc(failed, func(_ string, err error) bool { return waiting(err) })
	if err == nil && len(failed) == 0 {
		if len(images) == 0 {
			j.well(part)
		}
		return false
	}
	j.failed(ctx, part, errors.Join(err, imageErrors(failed)))
	return true
}

// run says how a run of the machine has ended.
func (j *journal) run(ctx context.Context, part, name string, result machine.Result, err error) {
	if errors.Is(err, machine.ErrSuperseded) {
		j.log.Info("starting over with the newer revision")
		return
	}
	if j.fails(ctx, part, err, result.Failed) || !result.Changed || result.Plan.Menu == "" {
		return
	}
	said := []any{"machine", name, "revision", plan.Short(result.Plan.To), "deployments", len(result.Plan.Stagings)}
	if len(result.Failed) > 0 {
		j.log.Info("converged on what is there; the rest follows", append(said, "lacks", slices.Sorted(maps.Keys(result.Failed)))...)
		return
	}
	j.log.Info("converged; the next boot is the new one", said...)
}

// made says how the workshop has ended.
func (j *journal) made(ctx context.Context, part string, job *workshop.Job, err error) {
	switch {
	case errors.Is(err, workshop.ErrSuperseded):
		j.log.Info("starting over with the newer revision")
	case !j.fails(ctx, part, err, job.Failed()) && len(job.Failed()) > 0:
		j.log.Debug("waiting to try again what failed", "error", imageErrors(job.Failed()))
	}
}
