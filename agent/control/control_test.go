package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
)

// serve listens in a folder of its own until the test ends.
func serve(t *testing.T, a control.Agent) (path string) {
	t.Helper()
	return serveWith(t, a, func(*http.Server) {})
}

func serveWith(t *testing.T, a control.Agent, change func(*http.Server)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "control.sock")
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	a.Log = slog.New(slog.DiscardHandler)
	server := control.Server(a.Handler(), a.Log)
	change(server)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return path
}

func board() *live.Board { return live.New("1.0", time.Now) }

func staged(context.Context) (report.Status, error) {
	return report.Status{Machine: "laptop", Stage: "/stage"}, nil
}

func TestStatus(t *testing.T) {
	b := board()
	b.Tell(event.Event{Kind: event.Looked, Machine: "laptop", Revision: "r1"})
	c := control.NewClient(serve(t, control.Agent{Board: b, Report: staged}))
	s, err := c.Status(t.Context())
	if err != nil || s.Stage != "/stage" || s.Agent == nil || s.Agent.Wanted.Hash != "r1" {
		t.Errorf("%+v %v", s, err)
	}
	broken := func(context.Context) (report.Status, error) { return report.Status{}, errors.New("no disk") }
	c = control.NewClient(serve(t, control.Agent{Board: b, Report: broken}))
	if _, err := c.Status(t.Context()); err == nil || err.Error() != "no disk" {
		t.Errorf("%v", err)
	}
}

// A watcher gets what is so at once, and each change.
func TestWatch(t *testing.T) {
	b := board()
	c := control.NewClient(serve(t, control.Agent{Board: b, Report: staged}))
	enough, seen := errors.New("enough"), 0
	err := c.Watch(t.Context(), func(s control.Status) error {
		if s.Agent.LastEvent != uint64(seen) {
			return fmt.Errorf("%d events, want %d", s.Agent.LastEvent, seen)
		}
		if seen++; seen == 3 {
			return enough
		}
		b.Tell(event.Event{Kind: event.Looked})
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

// Events come in their order, those of before and those that come.
func TestEvents(t *testing.T) {
	b := board()
	for i := range 3 {
		b.Tell(event.Event{Kind: event.Built, Image: fmt.Sprint(i)})
	}
	path := serve(t, control.Agent{Board: b, Report: staged})
	c := control.NewClient(path)
	var got []string
	note := func(e event.Event) error { got = append(got, e.Image); return nil }
	if err := c.Events(t.Context(), 1, note); err != nil || strings.Join(got, "") != "12" {
		t.Errorf("%q %v", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got = nil
	err := c.FollowEvents(ctx, 0, func(e event.Event) error {
		got = append(got, e.Image)
		switch len(got) {
		case 3:
			go b.Tell(event.Event{Kind: event.Built, Image: "later"})
		case 4:
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || strings.Join(got, "") != "012later" {
		t.Errorf("%q %v", got, err)
	}
}

func TestReconcile(t *testing.T) {
	asked := make(chan control.ReconcileRequest, 1)
	c := control.NewClient(serve(t, control.Agent{Board: board(), Report: staged, Reconcile: func(_ context.Context, update, wait bool) error {
		asked <- control.ReconcileRequest{Update: update, Wait: wait}
		if update {
			return errors.New("it failed")
		}
		return nil
	}}))
	for _, req := range []control.ReconcileRequest{{}, {Wait: true}, {Update: true}} {
		err := c.Reconcile(t.Context(), req)
		if got := <-asked; got != req || (err != nil) != req.Update {
			t.Errorf("%+v: %+v %v", req, got, err)
		}
	}
}

// Who asks is known by what the kernel says of the connection.
func TestCaller(t *testing.T) {
	who := func(ctx context.Context, _ json.RawMessage) (any, error) { return control.Caller(ctx), nil }
	c := control.NewClient(serve(t, control.Agent{Board: board(), Report: staged, Operations: map[string]control.Operation{"who": who}}))
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	var name string
	if err := c.Do(t.Context(), "who", nil, &name); err != nil || name != me.Username {
		t.Errorf("%q %v", name, err)
	}
	if got := control.Caller(t.Context()); got != "" {
		t.Errorf("of no connection: %q", got)
	}
}

func TestOperations(t *testing.T) {
	double := func(_ context.Context, request json.RawMessage) (any, error) {
		var n int
		if err := json.Unmarshal(request, &n); err != nil {
			return nil, err
		}
		return 2 * n, nil
	}
	path := serve(t, control.Agent{Board: board(), Report: staged, Operations: map[string]control.Operation{"double": double}})
	c := control.NewClient(path)
	var n int
	if err := c.Do(t.Context(), "double", 21, &n); err != nil || n != 42 {
		t.Errorf("%d %v", n, err)
	}
	for what, c := range map[string]struct{ name, body, want string }{
		"another name": {"halve", "1", "no operation"},
		"no JSON":      {"double", "{", "read the request"},
		"wrong JSON":   {"double", `"x"`, "cannot unmarshal"},
		"too much":     {"double", `"` + strings.Repeat("x", 1<<20) + `"`, "too large"},
		"a path":       {"..%2f..%2fstatus", "1", "no operation"},
	} {
		if got := post(t, path, "/v1/do/"+c.name, c.body); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// post sends what a client of ours would not.
func post(t *testing.T, path, to, body string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}, DisableKeepAlives: true}}
	resp, err := client.Post("http://agent"+to, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Nobody else may open the socket, there is one agent, and one that was killed is
// not in the way of the next.
func TestListen(t *testing.T) {
	path := serve(t, control.Agent{Board: board(), Report: staged})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := control.Listen(path); !errors.Is(err, control.ErrRunning) {
		t.Errorf("a second agent: %v", err)
	}
	left := filepath.Join(t.TempDir(), "left.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	next, err := control.Listen(left)
	if err != nil {
		t.Fatal(err)
	}
	next.Close()
	absent := (*control.AbsentError)(nil)
	if _, err := control.NewClient(left).Status(t.Context()); !errors.As(err, &absent) || !strings.Contains(err.Error(), "no agent is running") {
		t.Errorf("%v", err)
	}
}

// What is waited for may take longer than reading a request may.
func TestALongWait(t *testing.T) {
	const read = 20 * time.Millisecond
	c := control.NewClient(serveWith(t, control.Agent{Board: board(), Report: staged, Reconcile: func(ctx context.Context, _, _ bool) error {
		long, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*read)
		defer cancel()
		select {
		case <-ctx.Done():
			return errors.New("it was given up")
		case <-long.Done():
			return nil
		}
	}}, func(s *http.Server) { s.ReadTimeout = read }))
	if err := c.Reconcile(t.Context(), control.ReconcileRequest{Wait: true}); err != nil {
		t.Error(err)
	}
}
