package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestLinks(t *testing.T) {
	for _, p := range pages(t) {
		report(t, checkLinks(p))
	}
}

func TestFileNames(t *testing.T) {
	for _, p := range pages(t) {
		report(t, checkFileNames(p))
	}
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func checkLinks(p page) (problems []string) {
	for _, m := range link.FindAllStringSubmatch(p.prose, -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		target := filepath.Join(root, p.name)
		if file != "" {
			target = filepath.Join(root, filepath.Dir(p.name), file)
		}
		data, err := os.ReadFile(target)
		if info, statErr := os.Stat(target); statErr == nil && info.IsDir() {
			err = nil
		}
		switch {
		case err != nil:
			problems = append(problems, fmt.Sprintf("%s: link %s leads nowhere", p.name, m[1]))
		case anchor != "" && !slices.Contains(anchors(string(data)), anchor):
			problems = append(problems, fmt.Sprintf("%s: link %s: no such heading", p.name, m[1]))
		}
	}
	return problems
}

var notInAnchors = regexp.MustCompile(`[^\p{L}\p{N} _-]`)

// anchors returns the names that GitHub gives to a page's headings.
func anchors(text string) []string {
	var out []string
	for line := range strings.Lines(parsePage("", text).prose) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			plain := notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			out = append(out, strings.ReplaceAll(plain, " ", "-"))
		}
	}
	return out
}

// elsewhere are paths that look like the project's but lie on a stage or in a
// config repo.
var elsewhere = regexp.MustCompile(`^(boot/(gitboot\.cfg|env)|hooks/[^/]+/hook\.toml|initramfs/gitboot)$`)

// checkFileNames looks for the files that a page names from the repo's top.
func checkFileNames(p page) (problems []string) {
	for _, span := range p.spans() {
		name := strings.TrimSuffix(span, "/")
		top, _, isPath := strings.Cut(name, "/")
		if !isPath || top == "" || strings.ContainsAny(name, " <…$") || top == ".." || elsewhere.MatchString(name) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, top)); err != nil {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(found) == 0 {
			problems = append(problems, fmt.Sprintf("%s: %s is not there", p.name, span))
		}
	}
	return problems
}

var testName = regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w+`)

// The tests that a page names as the holder of a promise exist.
func TestNamedTestsExist(t *testing.T) {
	known := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (\w+)\(`).FindAllStringSubmatch(string(data), -1) {
			known[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, name := range testName.FindAllString(p.prose, -1) {
			if !known[name] {
				t.Errorf("%s: there is no test %s", p.name, name)
			}
		}
	}
}
