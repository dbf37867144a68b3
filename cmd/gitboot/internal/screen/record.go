package screen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// lineEvery is how often a task that goes on is told of.
const lineEvery = 10 * time.Second

// A recorder tells progress as log records: one when a task ends, and one every
// ten seconds while it goes on; a build is told step by step.
type recorder struct {
	log    *slog.Logger
	tasks  map[string]*recorded
	layers map[string]progress.Layer
	pulled map[string]bool
}

type recorded struct {
	began, told time.Time
	last        int64
	build       progress.Build
}

func newRecorder(log *slog.Logger) *recorder {
	return &recorder{log: log, tasks: map[string]*recorded{}, layers: map[string]progress.Layer{}, pulled: map[string]bool{}}
}

func (r *recorder) event(ev progress.Event, now time.Time) {
	for _, l := range ev.Layers {
		if _, known := r.layers[l.ID]; !known {
			r.layers[l.ID] = l
		}
	}
	if ev.Task == "" {
		return
	}
	t := r.tasks[ev.Task]
	began := t == nil
	if began {
		t = &recorded{began: now, told: now}
		r.tasks[ev.Task] = t
	}
	if ev.Build != nil {
		r.step(ev, t, began, now)
	} else {
		r.work(ev, t, now)
	}
	if ev.Finished {
		delete(r.tasks, ev.Task)
	}
}

// work tells of bytes. A layer that is pulled is squashed on the way, which is
// told once.
func (r *recorder) work(ev progress.Event, t *recorded, now time.Time) {
	what, name, _ := strings.Cut(ev.Task, " ")
	if r.pulled[ev.Layer] = r.pulled[ev.Layer] || what == "pull"; ev.Layer != "" && r.pulled[ev.Layer] && what != "pull" {
		return
	}
	about := []any{"what", plain.Line(name)}
	if l, ok := r.layers[ev.Layer]; ok {
		about = []any{"image", l.Image, "layer", fmt.Sprintf("%d of %d", l.N, l.Of)}
	}
	took := now.Sub(t.began)
	switch {
	case ev.Finished && errors.Is(ev.Err, context.Canceled):
	case ev.Finished && ev.Err != nil:
		r.log.Info(what+" failed", append(about, "took", took.Round(10*time.Millisecond))...)
	case ev.Finished && ev.Done > 0:
		r.log.Info(what+" done", append(about, "bytes", ev.Done, "took", took.Round(10*time.Millisecond), "rate", progress.Bytes(perSecond(ev.Done, took))+"/s")...)
	case !ev.Finished && now.Sub(t.told) >= lineEvery:
		r.log.Info(what+" goes on", append(about, "bytes", ev.Done, "of", ev.Total, "rate", progress.Bytes(perSecond(ev.Done-t.last, now.Sub(t.told)))+"/s")...)
		t.told, t.last = now, ev.Done
	}
}

func (r *recorder) step(ev progress.Event, t *recorded, began bool, now time.Time) {
	before, at := t.build, *ev.Build
	t.build = at
	took := now.Sub(t.began).Round(100 * time.Millisecond)
	switch {
	case began:
		r.log.Info("building", "image", ev.Task, "reason", plain.Line(at.Reason))
	case ev.Finished && ev.Err == nil:
		r.log.Info("built", "image", ev.Task, "took", took, "steps", at.Steps, "cached", at.Cached)
	case ev.Finished && errors.Is(ev.Err, context.Canceled):
		r.log.Info("build stopped", "image", ev.Task, "took", took)
	case ev.Finished:
		r.log.Info("build failed", "image", ev.Task, "took", took, "at", at.Does())
	case before.Step != at.Step || before.Doing != at.Doing:
		r.log.Info("build goes on", "image", ev.Task, "at", plain.Cut(at.Does(), columnsElsewhere))
	}
}

// columnsElsewhere is where lines are cut that no terminal shows.
const columnsElsewhere = 160

func perSecond(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took.Seconds(), 1e-3))
}
