package metrics

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/need"
)

var update = flag.Bool("update", false, "rewrite the table of docs/monitoring.md")

// busy is an agent of which there is something to say of everything.
func busy() Options {
	at := time.Unix(1_700_000_000, 0)
	return Options{
		Snapshot: func() live.Status {
			return live.Status{
				Machine: "laptop", Version: "v1", LastEvent: 7, Wanted: live.Revision{Hash: "c2"}, Applied: "c1", Tried: live.Revision{Hash: "c3"}, Looked: at,
				Conditions: []live.Condition{{Type: live.Ready, Status: live.False, Since: at}},
				Runs:       []live.Run{{Part: event.Machine, Began: at}},
				Failures:   []live.Failure{{Part: event.Workshop, Image: "desktop", Since: at}},
				Next:       []plan.Coming{{Time: at, What: "poll"}, {Time: at.Add(time.Hour), What: "poll"}},
			}
		},
		Report: func(context.Context) (report.Status, error) {
			return report.Status{
				Images: []report.ImageStatus{{Name: "desktop", Checked: at, Generations: []report.GenerationStatus{{Created: at, Damaged: "gone", Fetched: &state.Fetched{From: []state.Giver{{Kind: "peer", Host: "a", Bytes: 5}, {Kind: "peer", Host: "b", Bytes: 2}}}}, {Booted: true}}}},
				Drift:  []plan.Drift{{Path: "boot/gitboot.cfg", How: "is missing", Noticed: at}},
				Builds: []report.BuildStatus{{Image: "desktop", Built: at}},
				Signs:  []report.SigningStatus{{Machine: "till", Time: at, Failure: &state.Failure{Since: at.Add(time.Hour)}}},
			}, nil
		},
		Stage: func() string { return "/" },
		Alive: func() error { return nil },
		Log:   slog.New(slog.DiscardHandler),
	}
}

func gather(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range families {
		out[f.GetName()] = f
	}
	return out
}

// value is that of a series, and whether there is one.
func value(f *dto.MetricFamily, labels ...string) (float64, bool) {
	for _, m := range f.GetMetric() {
		var has []string
		for _, l := range m.GetLabel() {
			has = append(has, l.GetName()+"="+l.GetValue())
		}
		if slices.Equal(has, labels) {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()), true
		}
	}
	return 0, false
}

const docs = "../../docs/monitoring.md"

// The page's table has each metric with its type and labels, and none that there
// is not.
func TestTableIsWhatIsServed(t *testing.T) {
	var rows strings.Builder
	rows.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	m := New(busy())
	m.Tell(event.Event{Kind: event.Looked})
	served := gather(t, m)
	for _, row := range Table() {
		labels := "—"
		if row.Labels != "" {
			labels = "`" + strings.ReplaceAll(row.Labels, ", ", "`, `") + "`"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s |\n", row.Name, row.Type, labels, row.Help)
		f := served[row.Name]
		delete(served, row.Name)
		if f == nil {
			t.Errorf("%s is not served", row.Name)
			continue
		}
		if is := strings.ToLower(f.GetType().String()); is != row.Type || f.GetHelp() != row.Help {
			t.Errorf("%s is served as %s: %s", row.Name, is, f.GetHelp())
		}
	}
	for name := range served {
		if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("%s is served and has no row", name)
		}
	}
	page, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(page), "| metric |")
	_, after, _ := strings.Cut(rest, "\n\n")
	if want := before + rows.String() + "\n" + after; want != string(page) {
		if !*update {
			t.Fatal("the table of docs/monitoring.md is another; run go test ./agent/metrics -update")
		}
		if err := os.WriteFile(docs, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFigures(t *testing.T) {
	m := New(busy())
	began := time.Unix(1000, 0)
	for _, e := range []event.Event{
		{Kind: event.Looked}, {Kind: event.Looked}, {Kind: event.Refused},
		{Kind: event.Began, Part: event.Machine, Time: began}, {Kind: event.Began, Part: event.Workshop, Time: began},
		{Kind: event.Ended, Part: event.Machine, Time: began.Add(2 * time.Second)},
		{Kind: event.Ended, Part: event.Workshop, Time: began.Add(time.Hour), Failed: map[string]string{"desktop": "no"}},
	} {
		m.Tell(e)
	}
	m.Served("object", 6)
	m.Served("object", 8)
	served := gather(t, m)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"gitboot_looks_total", []string{"outcome=followed"}, 2},
		{"gitboot_looks_total", []string{"outcome=refused"}, 1},
		{"gitboot_events_total", []string{"kind=looked"}, 2},
		{"gitboot_runs_total", []string{"outcome=done", "part=machine"}, 1},
		{"gitboot_runs_total", []string{"outcome=failed", "part=machine"}, 0},
		{"gitboot_runs_total", []string{"outcome=failed", "part=workshop"}, 1},
		{"gitboot_run_duration_seconds", []string{"part=machine"}, 1},
		{"gitboot_served_requests_total", []string{"kind=object"}, 2},
		{"gitboot_served_bytes_total", []string{"kind=object"}, 14},
		{"gitboot_served_bytes_total", []string{"kind=repo"}, 0},
		{"gitboot_condition", []string{"status=False", "type=Ready"}, 1},
		{"gitboot_condition", []string{"status=True", "type=Ready"}, 0},
		{"gitboot_revision_info", []string{"kind=applied", "revision=c1"}, 1},
		{"gitboot_next_timestamp_seconds", []string{"image=", "what=poll"}, 1_700_000_000},
		{"gitboot_image_booted", []string{"image=desktop"}, 1},
		{"gitboot_image_outdated", []string{"image=desktop"}, 1},
		{"gitboot_image_damaged_generations", []string{"image=desktop"}, 1},
		{"gitboot_image_fetched_bytes", []string{"from=peer", "image=desktop"}, 7},
		{"gitboot_image_fetched_bytes", []string{"from=registry", "image=desktop"}, 0},
	} {
		if got, ok := value(served[c.name], c.labels...); !ok || got != c.want {
			t.Errorf("%s%v = %v, %v; want %v", c.name, c.labels, got, ok, c.want)
		}
	}
}

// What is staged is read when something has happened, and not at each scrape.
func TestStageIsReadOnChange(t *testing.T) {
	opts, reads, last := busy(), 0, uint64(1)
	full := opts.Report
	opts.Report = func(ctx context.Context) (report.Status, error) { reads++; return full(ctx) }
	snapshot := opts.Snapshot
	opts.Snapshot = func() live.Status { s := snapshot(); s.LastEvent = last; return s }
	m := New(opts)
	for range 10 {
		gather(t, m)
	}
	if last++; reads != 1 {
		t.Errorf("%d reads in ten scrapes", reads)
	}
	if gather(t, m); reads != 2 {
		t.Errorf("%d reads after an event", reads)
	}
}

// A stage that cannot be read takes only its own figures away.
func TestUnreadableStage(t *testing.T) {
	opts := busy()
	opts.Report = func(context.Context) (report.Status, error) { return report.Status{}, errors.New("no") }
	opts.Stage = func() string { return "/nowhere" }
	served := gather(t, New(opts))
	if served["gitboot_condition"] == nil || served["gitboot_image_booted"] != nil || served["gitboot_stage_free_bytes"] != nil {
		t.Errorf("%d families", len(served))
	}
}

func TestHealth(t *testing.T) {
	opts := busy()
	snapshot, alive := opts.Snapshot(), error(nil)
	opts.Snapshot, opts.Alive = func() live.Status { return snapshot }, func() error { return alive }
	handler := New(opts).Handler()
	ask := func(path string) string {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return fmt.Sprint(w.Code, " ", w.Body)
	}
	for path, want := range map[string]string{"/healthz": "200 ok\n", "/readyz": "200 ok\n", "/readyz/": "404 404 page not found\n", "/": "404 404 page not found\n"} {
		if got := ask(path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	alive = errors.New("stuck\x1b[31m for a minute\nor so")
	if got := ask("/healthz"); !strings.HasPrefix(got, "503 stuck") || strings.Contains(got, "\x1b") || strings.Count(got, "\n") != 1 {
		t.Errorf("stuck: %q", got)
	}
	snapshot.Looked = time.Time{}
	if got := ask("/readyz"); !strings.HasPrefix(got, "503 the config repo has not been read yet") {
		t.Errorf("at the start: %q", got)
	}
	snapshot.Failures = []live.Failure{{Part: event.Repo, Message: "no route to host"}}
	if got := ask("/readyz"); got != "503 no route to host\n" {
		t.Errorf("unreachable: %q", got)
	}
}

// A real Prometheus' tool finds nothing wrong with what is served, nor with the
// example's rules, whose alerts come when they are to.
func TestPrometheusAgrees(t *testing.T) {
	promtool, m := need.Program(t, "promtool"), New(busy())
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	check := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	text, _ := io.ReadAll(w.Body)
	check.Stdin = strings.NewReader(ours(string(text)))
	rules, err := filepath.Abs("../../examples/monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := filepath.Abs("testdata/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, cmd := range []*exec.Cmd{check, exec.Command(promtool, "check", "rules", rules), exec.Command(promtool, "test", "rules", cases)} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", cmd, err, out)
		}
	}
}

// ours leaves out what client_golang says of Go.
func ours(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, "gitboot_") {
			out.WriteString(line)
		}
	}
	return out.String()
}
