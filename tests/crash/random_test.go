package crash

import (
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A run that fetches, stages and collects, and one that builds and pushes as well,
// are killed at any time, not only where there is a point. TestLongRandomKills does
// so a thousand times.
func TestRandomKills(t *testing.T) { killRandomly(t, 44, 6) }

func killRandomly(t *testing.T, pulls, builds int) {
	lab.RequireMachines(t)
	t.Run("pulls", func(t *testing.T) {
		killings{prepare(t), func(machine) string { return "" }}.kill(t, pulls)
	})
	t.Run("builds", func(t *testing.T) {
		before, registry := prepareBuilt(t)
		killings{before, func(m machine) string {
			m.checkStore(t)
			return registry.layers(t)
		}}.kill(t, builds)
	})
}

// killings are of a machine that has a new revision before it. What else than the menu
// is the same whenever a run has come to its end, also returns.
type killings struct {
	before machine
	also   func(machine) string
}

// kill kills runs, each after a random part of the time that a whole one takes. Each
// goes on with what the one before it left; every eleventh time, and when one came to
// its end, the next has to converge, and all begins anew.
func (k killings) kill(t *testing.T, kills int) {
	t.Helper()
	oldMenu, whole := k.before.readMenu(t), k.before.copy(t)
	began := time.Now()
	whole.mustRun(t, "reconcile", "--once")
	took, newMenu, also := time.Since(began), whole.readMenu(t), k.also(whole)
	random := rand.New(rand.NewPCG(12, uint64(kills)))
	hit, m := 0, k.before.copy(t)
	for n := range kills {
		cut := m.killAfter(t, time.Duration(random.Int64N(int64(took))))
		if cut {
			hit++
		}
		if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
			t.Errorf("kill %d: the menu is neither the old nor the new one:\n%s", n, menu)
		}
		m.checkBootable(t)
		if n%11 == 10 || n == kills-1 || !cut {
			m.checkConverged(t, newMenu)
			if got := k.also(m); got != also {
				t.Errorf("kill %d: then there is %s, not %s", n, got, also)
			}
			m = k.before.copy(t)
		}
	}
	t.Logf("%d runs, of which %d were killed before they ended; a whole one took %s", kills, hit, took)
	if hit < kills/4 {
		t.Errorf("of %d runs only %d were killed before they ended", kills, hit)
	}
}

// killAfter begins a run and kills it after a while, if it has not ended.
func (m machine) killAfter(t *testing.T, after time.Duration) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.gitboot, m.args("reconcile", "--once")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if err != nil && !killed(err) {
		t.Errorf("a run that was to be killed ends with %v", err)
	}
	return killed(err)
}
