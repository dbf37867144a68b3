package rehearsal

import (
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Of the logs of boot tests the newest stay, whatever the stage's folder is called.
func TestLogs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[stage]*")
	began := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for n := range logsKept + 2 {
		log, discard, err := NewLog(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(log, "lab: up\n"); err != nil {
			t.Fatal(err)
		}
		if err := KeepLog(dir, "my-desktop", n, began.Add(time.Duration(n)*time.Minute), log); err != nil {
			t.Fatal(err)
		}
		if err := discard(); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := logs(dir)
	if err != nil || len(kept) != logsKept {
		t.Errorf("kept are %q, %v", kept, err)
	}
	for name, want := range map[string]string{"": "my-desktop-11.log", "my-desktop": "my-desktop-11.log", "my-desktop:5": "my-desktop-5.log"} {
		log, err := LastLog(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(log)
		log.Close()
		if !strings.HasSuffix(log.Name(), want) || string(text) != "lab: up\n" || err != nil {
			t.Errorf("the last log of %q is %s, with %q, %v", name, log.Name(), text, err)
		}
	}
	if _, err := LastLog(dir, "my-desktop:1"); err == nil || !strings.Contains(err.Error(), "my-desktop:11") {
		t.Errorf("a log that was removed: %v", err)
	}
}
