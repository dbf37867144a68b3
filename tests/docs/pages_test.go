// Package docs holds README.md and docs/*.md to what the program does: every
// command line parses, every link and file name resolves, every TOML example
// loads, and sessions are played and compared.
//
// What the pages mark:
//
//   - ```toml file=NAME is a file of a config repo. gitboot.toml begins a new
//     repo; what follows belongs to it. agent.toml is an agent's file.
//   - <!-- test: NAME --> before a ```console fence has its commands run in a
//     world of their own (world_test.go) and their output compared. A line
//     with … alone stands for any lines.
//   - <!-- test: NAME --> before a ```sh fence has it run; it must succeed.
//
// docs/config.md's tables and examples are tested by package spec.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// A page is one Markdown file.
type page struct {
	name   string // from the repo's top
	prose  string // without fences
	fences []fence
}

// A fence is a block of code.
type fence struct {
	page string
	line int
	lang string
	file string // of file=NAME
	test string // of the marker before it
	text string
}

var (
	fileWord   = regexp.MustCompile(`\bfile=(\S+)`)
	testMarker = regexp.MustCompile(`^<!-- test: ([a-z0-9-]+) -->$`)
)

// parsePage splits a page at its fences.
func parsePage(name, text string) page {
	p := page{name: name}
	var prose, code strings.Builder
	var open *fence
	marker := ""
	for i, line := range strings.Split(text, "\n") {
		info, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && open == nil:
			lang, _, _ := strings.Cut(info, " ")
			open = &fence{page: name, line: i + 1, lang: lang, test: marker}
			if m := fileWord.FindStringSubmatch(info); m != nil {
				open.file = m[1]
			} else if lang == "toml" && name == "docs/agent.md" {
				open.file = "agent.toml" // what all of that page is about
			}
			code.Reset()
		case isFence:
			open.text = code.String()
			p.fences = append(p.fences, *open)
			open, marker = nil, ""
		case open != nil:
			code.WriteString(line + "\n")
		default:
			prose.WriteString(line + "\n")
			if m := testMarker.FindStringSubmatch(line); m != nil {
				marker = m[1]
			} else if line != "" {
				marker = ""
			}
		}
	}
	p.prose = prose.String()
	return p
}

// pages reads all of them.
func pages(t *testing.T) []page {
	t.Helper()
	names, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []page
	for _, path := range append([]string{root + "/README.md"}, names...) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parsePage(name, string(data)))
	}
	return out
}

var codeSpan = regexp.MustCompile("`([^`\n]+)`")

// spans returns the pieces of code within the prose.
func (p page) spans() []string {
	var out []string
	for _, m := range codeSpan.FindAllStringSubmatch(p.prose, -1) {
		out = append(out, m[1])
	}
	return out
}

func report(t *testing.T, problems []string) {
	t.Helper()
	for _, problem := range problems {
		t.Error(problem)
	}
}
