package systemd

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/tests/need"
)

func TestFields(t *testing.T) {
	for key, want := range map[string]string{
		"image": "IMAGE", "layer": "LAYER", "what is-it": "WHAT_IS_IT", "priority": "GITBOOT_PRIORITY", "_pid": "GITBOOT__PID",
		"syslog_pid": "GITBOOT_SYSLOG_PID", "code_file": "GITBOOT_CODE_FILE", "": "GITBOOT_", "7z": "GITBOOT_7Z", "größe": "GR__E",
		strings.Repeat("a", 100): strings.Repeat("A", 64),
	} {
		if got := field(key); got != want {
			t.Errorf("%q is field %q, not %q", key, got, want)
		}
	}
}

func TestWhereNoJournalListens(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	if Journaled(slog.LevelInfo, slog.DiscardHandler) != slog.DiscardHandler {
		t.Error("logs of a terminal go to the journal")
	}
	t.Setenv("JOURNAL_STREAM", "1:2") // another file's
	if Journaled(slog.LevelInfo, slog.DiscardHandler) != slog.DiscardHandler {
		t.Error("logs of a file go to the journal")
	}
}

// speak is what the test below has the journal keep.
const speak = "GITBOOT_TEST_SPEAKS"

func TestTheJournalKeepsFields(t *testing.T) {
	if os.Getenv(speak) != "" {
		speaks(t)
		return
	}
	need.Root(t)
	need.Programs(t, "unshare", "systemd-cat", "journalctl")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// A journal of its own, on a /run that only it and who speaks to it see.
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-ec", `
		mount -t tmpfs tmpfs /run
		mkdir /run/systemd
		/lib/systemd/systemd-journald & journald=$!
		trap 'kill $journald; wait $journald || :' EXIT
		until [ -S /run/systemd/journal/stdout ]; do kill -0 $journald; done
		systemd-cat sh -c 'JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/2) exec "$0" -test.run "^TestTheJournalKeepsFields$"' "$0"
		journalctl --sync
		journalctl -q --all -D /run/log/journal -o json SYSLOG_IDENTIFIER=gitboot`, self)
	cmd.Env = append(os.Environ(), speak+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	need.Done(t, err, stderr.Bytes())
	var got []map[string]string
	for line := range strings.Lines(string(out)) {
		entry := map[string]any{}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kept := map[string]string{}
		for key, value := range entry {
			if text, ok := value.(string); ok && !strings.HasPrefix(key, "_") && !strings.HasPrefix(key, "SYSLOG_") {
				kept[key] = text
			}
		}
		got = append(got, kept)
	}
	want := []map[string]string{
		{"MESSAGE": "converged (revision 8a5016b941c2, deployments 2)", "PRIORITY": "6", "MACHINE": "laptop", "REVISION": "8a5016b941c2", "DEPLOYMENTS": "2"},
		{"MESSAGE": "build failed (build_image desktop, build_error first second)", "PRIORITY": "3", "MACHINE": "laptop", "BUILD_IMAGE": "desktop", "BUILD_ERROR": "first second"},
		{"MESSAGE": "long (text " + strings.Repeat("x", 300_000) + ")", "PRIORITY": "4", "MACHINE": "laptop", "TEXT": strings.Repeat("x", 300_000)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func speaks(t *testing.T) {
	elsewhere := slog.NewTextHandler(os.Stderr, nil)
	handler := Journaled(slog.LevelInfo, elsewhere)
	if handler == slog.Handler(elsewhere) {
		t.Fatal("standard error is the journal's, and was not known to be")
	}
	log := For("laptop", slog.New(handler))
	log.Debug("nobody asked for this")
	log.Info("converged", "revision", "8a5016b941c2", "deployments", 2)
	log.WithGroup("build").Error("build failed", "image", "desktop", "error", "first\nsecond\x1b[2J")
	log.Warn("long", "text", strings.Repeat("x", 300_000))
}
