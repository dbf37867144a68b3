package crash

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// soon is how long an agent may take to end that was told to.
const soon = 15 * time.Second

// An agent that is told to end, at whichever step, ends soon and by itself, with
// all it needs to go on from there.
func TestTermAtEveryPoint(t *testing.T) {
	lab.RequireMachines(t)
	before := prepare(t)
	oldMenu := before.readMenu(t)
	whole := before.copy(t)
	names := points(t, whole)
	newMenu := whole.readMenu(t)
	for _, name := range names {
		if strings.Contains(name, "#") {
			continue // the same place, at another layer
		}
		t.Run(name, func(t *testing.T) {
			m := before.copy(t)
			list := filepath.Join(t.TempDir(), "points")
			out, err := m.run(t, []string{"GITBOOT_FAULT=" + name + ":term", "GITBOOT_FAULT_LIST=" + list}, "agent", "--poll", "1h")
			ended := time.Now()
			if err != nil || strings.Contains(out, "panic") {
				t.Errorf("it ends with %v\n%s", err, out)
			}
			told, err := os.Stat(list + ".term")
			if err != nil {
				t.Fatal(err)
			}
			if took := ended.Sub(told.ModTime()); took > soon {
				t.Errorf("it took %s", took)
			}
			if menu := m.readMenu(t); menu != oldMenu && menu != newMenu {
				t.Errorf("the menu is neither the old nor the new one:\n%s", menu)
			}
			m.checkBootable(t)
			m.checkConverged(t, newMenu)
		})
	}
}
