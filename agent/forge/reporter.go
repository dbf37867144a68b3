package forge

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/agent/outbound"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
)

// remembered is how many commits' statuses are known to have been told.
const remembered = 64

// A Look is what the agent does now, and what is staged.
type Look func(context.Context) (live.Status, report.Status, error)

// A Reporter tells a forge. What is told is what is so when it is sent: a status
// that is overtaken before is not sent any more.
type Reporter struct {
	Options
	Log    *slog.Logger
	client outbound.Client
	// settle is how long it is waited for more to happen before a status is sent.
	settle time.Duration
	wake   chan struct{}
	// told are the last statuses by commit, of the commits in order.
	told  map[string]Status
	order []string
}

// NewReporter is one that has told nothing yet.
func NewReporter(o Options, log *slog.Logger) *Reporter {
	return &Reporter{
		Options: o, Log: log, client: outbound.New(o.Proxy, o.CAFile), settle: time.Second,
		wake: make(chan struct{}, 1), told: map[string]Status{},
	}
}

// Notice says that something has happened. It never waits.
func (r *Reporter) Notice(e event.Event) {
	if e.Kind == event.Stepped || e.Kind == event.Looked && !e.Changed {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run tells the forge until ctx ends.
func (r *Reporter) Run(ctx context.Context, look Look) {
	for r.wait(ctx, r.wake) {
		pause := r.client.First
		for !r.pass(ctx, look, &pause) {
		}
	}
}

// wait waits for one of many reasons to go on, and then for the others.
func (r *Reporter) wait(ctx context.Context, wake <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		return ctxio.Sleep(ctx, r.settle) == nil
	}
}

// pass tells what is so now, and reports whether all was told, or refused. After
// what may be told later it has paused.
func (r *Reporter) pass(ctx context.Context, look Look, pause *time.Duration) (done bool) {
	for _, s := range r.news(ctx, look) {
		later := (*outbound.LaterError)(nil)
		switch err := r.send(ctx, s); {
		case ctx.Err() != nil:
			return true
		case errors.As(err, &later):
			r.Log.Warn("the forge was not told how this machine gets on; it is tried again", "revision", s.Revision, "error", err)
			wait := max(*pause, later.After)
			*pause = min(2**pause, r.client.Most)
			return ctxio.Sleep(ctx, wait) != nil
		case err != nil && !r.settled(err):
			r.Log.Error("the forge does not take how this machine gets on", "revision", s.Revision, "error", err)
		}
		r.remember(s)
	}
	return true
}

func (r *Reporter) send(ctx context.Context, s Status) error {
	doc, err := r.document(s)
	if err != nil {
		return err
	}
	return r.client.Try(ctx, doc)
}

// news are the statuses that were not told yet, those of commits that were
// overtaken among them.
func (r *Reporter) news(ctx context.Context, look Look) (news []Status) {
	l, staged, err := look(ctx)
	if err != nil {
		r.Log.Debug("how this machine gets on is not known", "error", err)
		return nil
	}
	now := map[string]bool{}
	for _, s := range statuses(l, staged) {
		now[s.Revision] = true
		if told := r.told[s.Revision]; told != s && !(r.Kind == GitLab && told.State == Pending && s.State == Pending) {
			news = append(news, s)
		}
	}
	for _, revision := range r.order {
		if s := r.told[revision]; !now[revision] && s.State == Pending && l.Wanted.Hash != "" {
			news = append(news, passedOver(s, l.Wanted.Hash))
		}
	}
	return news
}

func (r *Reporter) remember(s Status) {
	if _, known := r.told[s.Revision]; !known {
		r.order = append(r.order, s.Revision)
	}
	r.told[s.Revision] = s
	if len(r.order) > remembered {
		delete(r.told, r.order[0])
		r.order = r.order[1:]
	}
}
