package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/need"
)

// What dashboard and alerts show, there is.
func TestExamplesNameWhatThereIs(t *testing.T) {
	name := regexp.MustCompile(`gitboot_[a-z_]+`)
	for _, file := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join("../../examples/monitoring", file))
		if err != nil {
			t.Fatal(err)
		}
		found := name.FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, n := range found {
			n = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(n, "_bucket"), "_sum"), "_count")
			if !slices.ContainsFunc(Table(), func(m Metric) bool { return m.Name == n }) {
				t.Errorf("%s names %s, which there is not", file, n)
			}
		}
	}
}

// A panel is what Grafana draws.
type panel struct {
	ID      int    `json:"id"`
	Title   string `json:"title"`
	GridPos struct{ X, Y, W, H int }
	Targets []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("../../examples/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct{ Panels []panel }
	if err := json.Unmarshal(text, &board); err != nil || len(board.Panels) == 0 {
		t.Fatalf("%d panels, %v", len(board.Panels), err)
	}
	return board.Panels
}

// Each expression of the dashboard is one for a real Prometheus, and what it selects
// and shows by are labels that its metrics have.
func TestDashboard(t *testing.T) {
	promtool := need.Program(t, "promtool")
	metric, selected := regexp.MustCompile(`gitboot_[a-z_]+`), regexp.MustCompile(`([a-z_]+)=~?"`)
	grouped, shown := regexp.MustCompile(`by \(([^)]*)\)`), regexp.MustCompile(`\{\{(\w+)\}\}`)
	rules := "groups:\n- name: dashboard\n  rules:\n"
	for _, p := range panels(t) {
		for i, target := range p.Targets {
			rules += fmt.Sprintf("  - record: panel:%d_%d\n    expr: %q\n", p.ID, i, target.Expr)
			has := []string{"instance", "job"}
			for _, name := range metric.FindAllString(target.Expr, -1) {
				bare, isBucket := strings.CutSuffix(name, "_bucket")
				if isBucket {
					has = append(has, "le")
				}
				for _, m := range Table() {
					if m.Name == bare {
						has = append(has, strings.Split(m.Labels, ", ")...)
					}
				}
			}
			var used []string
			for _, m := range slices.Concat(selected.FindAllStringSubmatch(target.Expr, -1), grouped.FindAllStringSubmatch(target.Expr, -1), shown.FindAllStringSubmatch(target.LegendFormat, -1)) {
				used = append(used, strings.Split(m[1], ", ")...)
			}
			for _, label := range used {
				if !slices.Contains(has, label) {
					t.Errorf("panel %q is by %q, which is no label of %s: %v", p.Title, label, target.Expr, has)
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// No panel lies upon another, and none has another's id.
func TestDashboardIsLaidOut(t *testing.T) {
	all := panels(t)
	for i, a := range all {
		for _, b := range all[:i] {
			x := a.GridPos.X < b.GridPos.X+b.GridPos.W && b.GridPos.X < a.GridPos.X+a.GridPos.W
			y := a.GridPos.Y < b.GridPos.Y+b.GridPos.H && b.GridPos.Y < a.GridPos.Y+a.GridPos.H
			if a.ID == b.ID || x && y {
				t.Errorf("%q and %q are in one place", a.Title, b.Title)
			}
		}
	}
}
