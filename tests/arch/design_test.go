package arch

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var code = regexp.MustCompile("`([^`]+)`")

// The table of folders in the design's page tells of each package, and of what
// it may import beyond internal.
func TestDesignTellsOfEachPackage(t *testing.T) {
	page, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| folder | owns | may import of ours |\n| --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	told := map[string]bool{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("this is no row: %s", line)
		}
		folder := strings.Trim(cells[0], " `")
		r := ruleFor(folder)
		if r == nil {
			t.Errorf("the table tells of %s, which is no package with a rule", folder)
			continue
		}
		told[folder] = true
		if want := permits(r); !slices.Equal(want, names(cells[2])) && strings.TrimSpace(cells[2]) != "all" {
			t.Errorf("the table says that %s may import %q, and it may %q", folder, names(cells[2]), want)
		}
	}
	for _, r := range rules {
		if !told[r.folder] {
			t.Errorf("the table does not tell of %s", r.folder)
		}
	}
}

func permits(r *rule) []string { return slices.Sorted(slices.Values(r.ours)) }

func names(cell string) (out []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		if !strings.HasPrefix(m[1], "internal/") {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return out
}
