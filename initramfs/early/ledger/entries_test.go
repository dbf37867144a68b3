package ledger

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Of an entry that proved good the count goes, whatever the boot loader has counted;
// one that is damaged is used up; others stay as they are.
func TestNames(t *testing.T) {
	const entry, other = "gitboot-a-1111111111111111", "gitboot-b-2222222222222222+2-1.conf"
	for name, c := range map[string]struct{ before, good, used string }{
		"on trial":  {entry + "+2-1.conf", entry + ".conf", entry + "+0-1.conf"},
		"last":      {entry + "+0-3.conf", entry + ".conf", entry + "+0-3.conf"},
		"uncounted": {entry + ".conf", entry + ".conf", entry + "+0.conf"},
		"gone":      {"gitboot-c-3333333333333333+1.conf", "gitboot-c-3333333333333333+1.conf", "gitboot-c-3333333333333333+1.conf"},
		"not one":   {entry + "+1.bak", entry + "+1.bak", entry + "+1.bak"},
	} {
		for want, do := range map[string]func(string, string) error{c.good: endCount, c.used: useUp} {
			if c.good == c.used && c.before != c.good {
				t.Fatalf("%s: the test cannot tell", name)
			}
			dir := filepath.Join(t.TempDir(), "loader/entries")
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{c.before, other} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := do(dir, entry); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			var have []string
			files, _ := os.ReadDir(dir)
			for _, f := range files {
				have = append(have, f.Name())
			}
			names := []string{want, other}
			slices.Sort(names)
			if text, err := os.ReadFile(filepath.Join(dir, want)); !slices.Equal(have, names) || err != nil || string(text) != c.before {
				t.Errorf("%s: there are %v, want %v; %q, %v", name, have, names, text, err)
			}
		}
	}
	if err := endCount(filepath.Join(t.TempDir(), "none"), entry); err == nil {
		t.Error("there is no such folder, and it does not say so")
	}
}
