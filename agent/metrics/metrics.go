// Package metrics shows an agent to Prometheus, and to whoever asks whether it is
// well:
//
//	GET /metrics   figures, as docs/monitoring.md explains each
//	GET /healthz   200 while the agent gets on with its work, else 503
//	GET /readyz    200 if the config repo could be read and followed last time
//
// It only reads. What is staged is read again when something has happened since,
// so that a scrape costs next to nothing.
package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
)

// Options are where the figures come from.
type Options struct {
	// Snapshot is what the agent does now.
	Snapshot func() live.Status
	// Report reads what is staged.
	Report func(context.Context) (report.Status, error)
	// Stage is the folder whose file system's room is shown.
	Stage func() string
	// Alive says what keeps the agent from getting on, nil if nothing does.
	Alive func() error
	Log   *slog.Logger
}

// Metrics are an agent's figures.
type Metrics struct {
	opts     Options
	registry *prometheus.Registry
	counts   counts
}

// New makes figures, in a registry of their own.
func New(opts Options) *Metrics {
	m := &Metrics{opts: opts, registry: prometheus.NewRegistry(), counts: newCounts()}
	m.registry.MustRegister(m.counts.all()...)
	m.registry.MustRegister(&collector{Options: opts}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Tell counts an event.
func (m *Metrics) Tell(e event.Event) { m.counts.tell(e) }

// Served counts what was given to another machine.
func (m *Metrics) Served(kind string, bytes int64) {
	m.counts.served.WithLabelValues(kind).Inc()
	m.counts.sent.WithLabelValues(kind).Add(float64(bytes))
}

// Handler serves the three paths.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2,
	}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { judge(w, m.opts.Alive()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { judge(w, looked(m.opts.Snapshot())) })
	return mux
}

// looked says what was wrong with the last look at the config repo.
func looked(s live.Status) error {
	for _, f := range s.Failures {
		if f.Part == event.Repo {
			return errors.New(f.Message)
		}
	}
	if s.Looked.IsZero() {
		return errors.New("the config repo has not been read yet")
	}
	return nil
}

func judge(w http.ResponseWriter, wrong error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	text := "ok"
	if wrong != nil {
		text = plain.Line(wrong.Error())
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = io.WriteString(w, text+"\n") // who asked may have gone
}
