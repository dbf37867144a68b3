// Package control is the agent's socket: HTTP and JSON on a Unix socket that root
// and the group gitboot may use. Who may open it may do all that it offers, so
// nothing else is asked of a caller; there is no way to it over a network.
//
// The paths begin with the version, /v1/. What fails answers with a status and
// {"error": "…"}.
//
//	GET  /v1/status?follow          a Status; with follow one a line, whenever
//	                                something has changed, at most four a second
//	GET  /v1/events?since=N&follow  one event.Event a line; with follow, for as long
//	                                as the caller listens
//	POST /v1/reconcile              a ReconcileRequest; answers when all that it
//	                                leads to has ended, if it says wait
//	POST /v1/do/NAME                one of the operations that the agent offers
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/reconciler/report"
)

// maxBody bounds what a caller may send.
const maxBody = 64 << 10

// A Status is what is staged and what the agent does.
type Status struct {
	report.Status
	Agent *live.Status `json:"agent,omitempty"`
}

// A ReconcileRequest asks for a look at the config repo now.
type ReconcileRequest struct {
	// Update looks for new digests whether or not a schedule is due.
	Update bool `json:"update"`
	// Wait answers only when nothing is left to do.
	Wait bool `json:"wait"`
}

// An Answer is what a POST gives.
type Answer struct {
	// Error is what failed of it, empty if nothing did.
	Error string `json:"error,omitempty"`
	// Result is an operation's.
	Result json.RawMessage `json:"result,omitempty"`
}

// An Operation is what a person may have the agent do. It gets the caller's JSON,
// and what it returns is sent back as JSON.
type Operation func(ctx context.Context, request json.RawMessage) (any, error)

// An Agent is what the socket makes available.
type Agent struct {
	Board *live.Board
	// Report reads what is staged.
	Report func(context.Context) (report.Status, error)
	// Reconcile asks for a look, and if wait is set returns when nothing is left to
	// do, with what failed of it.
	Reconcile func(ctx context.Context, update, wait bool) error
	// Operations are by name.
	Operations map[string]Operation
	Log        *slog.Logger
}

// Handler serves an agent.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", a.status)
	mux.HandleFunc("GET /v1/events", a.events)
	mux.HandleFunc("POST /v1/reconcile", a.reconcile)
	mux.HandleFunc("POST /v1/do/{name}", a.operate)
	return mux
}

func (a *Agent) status(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("follow") {
		a.watch(w, r)
		return
	}
	staged, err := a.Report(r.Context())
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	now := a.Board.Snapshot()
	answer(w, Status{staged, &now})
}

// breath is how long a watcher is left alone after each status.
const breath = 250 * time.Millisecond

// watch sends what the agent does whenever that has changed. The stage is read
// only after an event: progress changes nothing there.
func (a *Agent) watch(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, control := json.NewEncoder(w), http.NewResponseController(w)
	pause := time.NewTicker(breath)
	defer pause.Stop()
	var staged report.Status
	for seen, first := uint64(0), true; ; first = false {
		changed := a.Board.Changed()
		now := a.Board.Snapshot()
		if first || now.LastEvent != seen {
			var err error
			if staged, err = a.Report(r.Context()); err != nil {
				a.Log.Debug("read the stage for a watcher", "error", err)
			}
			seen = now.LastEvent
		}
		if out.Encode(Status{staged, &now}) != nil || control.Flush() != nil {
			return // the caller has gone
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		select {
		case <-r.Context().Done():
			return
		case <-pause.C:
		}
	}
}

// events sends those after since and, with follow, all that come.
func (a *Agent) events(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	since, err := strconv.ParseUint(query.Get("since"), 10, 64)
	if err != nil && query.Get("since") != "" {
		refuse(w, http.StatusBadRequest, fmt.Errorf("since=%q is no number of an event", query.Get("since")))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, control := json.NewEncoder(w), http.NewResponseController(w)
	for {
		changed := a.Board.Changed() // before the look, so that nothing is missed
		events, _ := a.Board.Since(since)
		for _, e := range events {
			since = e.ID
			if err := out.Encode(e); err != nil {
				return // the caller has gone
			}
		}
		if !query.Has("follow") {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}

func (a *Agent) reconcile(w http.ResponseWriter, r *http.Request) {
	var req ReconcileRequest
	if !decode(w, r, &req) {
		return
	}
	err := a.Reconcile(r.Context(), req.Update, req.Wait)
	reply(w, nil, err)
}

func (a *Agent) operate(w http.ResponseWriter, r *http.Request) {
	do, ok := a.Operations[r.PathValue("name")]
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Errorf("this agent has no operation %q", r.PathValue("name")))
		return
	}
	var request json.RawMessage
	if !decode(w, r, &request) {
		return
	}
	result, err := do(r.Context(), request)
	reply(w, result, err)
}

// reply tells what became of a wish: what failed of it is no failure of the
// exchange.
func reply(w http.ResponseWriter, result any, err error) {
	var out Answer
	if err != nil {
		out.Error = err.Error()
	}
	if result != nil {
		data, err := json.Marshal(result)
		if err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
		out.Result = data
	}
	answer(w, out)
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
	if err != nil && !errors.Is(err, io.EOF) {
		refuse(w, http.StatusBadRequest, fmt.Errorf("read the request: %w", err))
		return false
	}
	return true
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the caller may have gone
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Answer{Error: err.Error()})
}

// Server is one that does not wait for ever for a caller, nor keeps memory for it.
func Server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ConnContext: withCaller, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
