package crash

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// A run that may open too few files fails, and nothing is lost by it: what cannot be
// opened is not taken for damaged. With each run it may open one more, until it converges.
func TestFewDescriptors(t *testing.T) {
	lab.RequireMachines(t)
	need.Programs(t, "prlimit")
	m := prepare(t)
	old, failed := m.readMenu(t), 0
	for n := 4; ; n++ {
		args := append([]string{fmt.Sprintf("--nofile=%d", n), m.gitboot}, m.args("reconcile", "--once")...)
		out, err := exec.CommandContext(t.Context(), "prlimit", args...).CombinedOutput()
		broken, _ := filepath.Glob(filepath.Join(m.dir, "stage", "*.broken"))
		if len(broken) > 0 {
			t.Fatalf("with %d descriptors the clone was given up: %v\n%s", n, err, out)
		}
		m.checkBootable(t)
		if err == nil {
			break
		}
		if failed++; n == 1<<10 {
			t.Fatalf("with %d descriptors: %v\n%s", n, err, out)
		}
	}
	if failed == 0 || m.readMenu(t) == old {
		t.Errorf("%d runs failed, and the menu is\n%s", failed, m.readMenu(t))
	}
}
