package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/tests/need"
)

// An error tells what the program printed last, and no more than that.
func TestLastLines(t *testing.T) {
	need.Long(t)
	var log bytes.Buffer
	err := Command{Args: []string{"sh", "-c", "seq 100; printf '\\033[1mwhy\\n' >&2; exit 3"}, Dir: t.TempDir(), Log: &log}.Run(t.Context())
	code := (*exec.ExitError)(nil)
	if !errors.As(err, &code) || code.ExitCode() != 3 {
		t.Fatalf("%v", err)
	}
	text := err.Error()
	if !strings.Contains(text, "\n    100\n    ") || !strings.HasSuffix(text, "why") || strings.Contains(text, "\n    86\n") || strings.Contains(text, "\x1b") {
		t.Errorf("%q", text)
	}
	if !strings.HasPrefix(log.String(), "1\n2\n") {
		t.Errorf("the log is %q", log.String())
	}
}

// One that is asked to end may, and whoever does not is killed.
func TestAskedToEnd(t *testing.T) {
	need.Long(t)
	for script, want := range map[string]string{
		"trap 'echo bye; exit' TERM; echo begun; while :; do sleep 0.01; done": "begun\nbye\n",
		"trap '' TERM; echo begun; while :; do sleep 0.01; done":               "begun\n",
	} {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		var out bytes.Buffer
		each := plain.Lines(func(line string) {
			if line == "begun" {
				cancel(why)
			}
		})
		err := Command{Args: []string{"sh", "-c", script}, Dir: t.TempDir(), Out: io.MultiWriter(&out, each), Asked: true}.Run(ctx)
		if !errors.Is(err, why) || out.String() != want {
			t.Errorf("%q printed %q: %v", script, out.String(), err)
		}
	}
}
