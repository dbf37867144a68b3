package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gitboot/gitboot/reconciler/event"
)

// counts are what is counted as it happens.
type counts struct {
	events, looks, runs *prometheus.CounterVec
	took                *prometheus.HistogramVec
	running             *running
	served, sent        *prometheus.CounterVec
}

// running is when each part began.
type running struct {
	mu    sync.Mutex
	began map[string]time.Time
}

func newCounts() counts {
	c := counts{
		events: newCounter("gitboot_events_total"), looks: newCounter("gitboot_looks_total"), runs: newCounter("gitboot_runs_total"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gitboot_run_duration_seconds", Help: find("gitboot_run_duration_seconds").Help,
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600}, // from a hook that changed to a build of a whole system
		}, find("gitboot_run_duration_seconds").labels()),
		running: &running{began: map[string]time.Time{}},
		served:  newCounter("gitboot_served_requests_total"), sent: newCounter("gitboot_served_bytes_total"),
	}
	// What has not happened yet is 0 and not absent, so that its first time is an
	// increase.
	for _, outcome := range []string{"followed", "refused"} {
		c.looks.WithLabelValues(outcome)
	}
	for _, kind := range []string{"object", "document", "repo"} {
		c.served.WithLabelValues(kind)
		c.sent.WithLabelValues(kind)
	}
	for _, part := range []string{event.Machine, event.Workshop} {
		for _, outcome := range []string{"done", "failed"} {
			c.runs.WithLabelValues(part, outcome)
		}
		c.took.WithLabelValues(part)
	}
	return c
}

func newCounter(name string) *prometheus.CounterVec {
	m := find(name)
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: m.Help}, m.labels())
}

func (c counts) all() []prometheus.Collector {
	return []prometheus.Collector{c.events, c.looks, c.runs, c.took, c.served, c.sent}
}

func (c counts) tell(e event.Event) {
	c.events.WithLabelValues(string(e.Kind)).Inc()
	switch e.Kind {
	case event.Looked:
		c.looks.WithLabelValues("followed").Inc()
	case event.Refused:
		c.looks.WithLabelValues("refused").Inc()
	case event.Began:
		c.running.begin(e)
	case event.Ended:
		outcome := "done"
		if e.Error != "" || len(e.Failed) > 0 {
			outcome = "failed"
		}
		c.runs.WithLabelValues(e.Part, outcome).Inc()
		if began, ok := c.running.end(e); ok {
			c.took.WithLabelValues(e.Part).Observe(e.Time.Sub(began).Seconds())
		}
	}
}

func (r *running) begin(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began[e.Part] = e.Time
}

func (r *running) end(e event.Event) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began, ok := r.began[e.Part]
	delete(r.began, e.Part)
	return began, ok
}
