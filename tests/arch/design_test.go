package arch

import (
	"io/fs"
	"os"
	"path/filepath"
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

var (
	aTest   = regexp.MustCompile("`(Test[A-Z][A-Za-z]*)`")
	aGoFile = regexp.MustCompile("`((?:[a-z]+/)+[a-z_]+\\.go)`")
)

// What the pages name as holding something, is there.
func TestPagesNameWhatThereIs(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, "_test.go") {
			var text []byte
			text, err = os.ReadFile(file)
			tests.Write(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range aTest.FindAllSubmatch(text, -1) {
			if !strings.Contains(tests.String(), "func "+string(m[1])+"(") {
				t.Errorf("%s names %s, which is not there", page, m[1])
			}
		}
		for _, m := range aGoFile.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("../..", string(m[1]))); err != nil {
				t.Errorf("%s names %s: %v", page, m[1], err)
			}
		}
	}
}
