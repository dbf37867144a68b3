package ledger

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// Whether a boot is on trial, and what boots in its place, is what the names say.
func TestAsk(t *testing.T) {
	const entry, older, starts = "gitboot-a-1111111111111111", "gitboot-a-2222222222222222", "title x\nefi /gitboot/0\n"
	for name, c := range map[string]struct {
		files   map[string]string
		counted bool
		other   string
	}{
		"on trial":       {map[string]string{entry + "+2-1.conf": starts, older + ".conf": starts}, true, older},
		"the last try":   {map[string]string{entry + "+0-3.conf": starts}, true, ""},
		"good":           {map[string]string{entry + ".conf": starts, older + ".conf": starts}, false, older},
		"alone":          {map[string]string{entry + ".conf": starts, "debian.conf": starts}, false, ""},
		"gone":           {map[string]string{older + "+1.conf": starts}, false, older},
		"used up":        {map[string]string{entry + ".conf": starts, older + "+0-3.conf": starts}, false, ""},
		"not shown":      {map[string]string{entry + ".conf": starts, older + "+3.conf": "# counted\n"}, false, ""},
		"tried":          {map[string]string{entry + ".conf": starts, "gitboot.try-2222222222222222.conf": starts}, false, ""},
		"to recover":     {map[string]string{entry + ".conf": starts, "gitboot.recovery.conf": starts}, false, "gitboot.recovery"},
		"another's file": {map[string]string{entry + "+1.bak": starts}, false, ""},
	} {
		dir := t.TempDir()
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if counted, other, err := ask(dir, entry); counted != c.counted || other != c.other || err != nil {
			t.Errorf("%s: counted %t, other %q, %v", name, counted, other, err)
		}
	}
}

// What cannot be asked is not on trial, and why is told.
func TestAskNobody(t *testing.T) {
	where := deployment.Location{Device: "UUID=0000-0000", Path: "/" + deployment.EntriesFolder}
	for name, l := range map[string]Ledger{
		"no block":  {Cmdline: deployment.Cmdline{Counted: true, Trying: true, Entry: "gitboot-a-1"}},
		"no entry":  {Cmdline: deployment.Cmdline{Counted: true, Trying: true, Block: where}},
		"no device": {Cmdline: deployment.Cmdline{Counted: true, Trying: true, Entry: "gitboot-a-1", Block: where}},
	} {
		if c, err := l.Ask(); err == nil || c.Trying || c.Counted {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}
