package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A commandLine is what a page says about calling gitboot.
type commandLine struct {
	where string
	words []string
}

func TestCommandLines(t *testing.T) {
	gitboot := built(t)
	seen := map[string]bool{}
	for _, p := range pages(t) {
		for _, c := range commandLines(p) {
			line := strings.Join(c.words, " ")
			if !seen[line] {
				seen[line] = true
				report(t, checkCommand(t, gitboot, c))
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("found only %d command lines in all pages", len(seen))
	}
}

var (
	operators = regexp.MustCompile(`&&|\|\||[|;()]`)
	call      = regexp.MustCompile(`(?:^|[\s/=])gitboot(?:\s+(.*))?$`)
	prompt    = regexp.MustCompile(`^[$#] `)
)

// commandLines finds them in fences of shell and units, and in code spans.
func commandLines(p page) []commandLine {
	var out []commandLine
	for _, f := range p.fences {
		text := strings.ReplaceAll(f.text, "\\\n", " ")
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			switch f.lang {
			case "console":
				if !prompt.MatchString(line) {
					continue
				}
				line = line[2:]
			case "sh", "ini":
				line, _, _ = strings.Cut(" "+line, " #")
			default:
				continue
			}
			out = append(out, callsIn(fmt.Sprintf("%s:%d", p.name, f.line), line)...)
		}
	}
	for _, span := range p.spans() {
		if strings.HasPrefix(span, "gitboot ") {
			out = append(out, callsIn(p.name, span)...)
		}
	}
	return out
}

func callsIn(where, line string) []commandLine {
	var out []commandLine
	for _, part := range operators.Split(line, -1) {
		m := call.FindStringSubmatch(strings.TrimSpace(part))
		if m == nil {
			continue
		}
		var words []string
		for _, w := range strings.Fields(m[1]) {
			if strings.ContainsAny(w, "<>") {
				break // a redirection
			}
			if w != "…" {
				words = append(words, strings.Trim(w, `"'`))
			}
		}
		out = append(out, commandLine{where, words})
	}
	return out
}

// checkCommand asks for the command's help, which parses its flags and does
// nothing.
func checkCommand(t *testing.T, gitboot string, c commandLine) []string {
	t.Helper()
	dir := t.TempDir()
	agent := filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(agent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--stage", filepath.Join(dir, "none"), "--config", agent}, c.words...)
	out, err := exec.CommandContext(t.Context(), gitboot, append(args, "--help")...).CombinedOutput()
	if err != nil {
		return []string{fmt.Sprintf("%s: gitboot %s: %s", c.where, strings.Join(c.words, " "), out)}
	}
	// A group's help for what is no command of the group.
	if strings.Contains(string(out), "Available Commands:") && len(c.words) > 0 {
		if last := c.words[len(c.words)-1]; !strings.HasPrefix(last, "-") && !regexp.MustCompile(`(?m)^  gitboot( \S+)* `+regexp.QuoteMeta(last)+`( |$)`).Match(out) {
			return []string{fmt.Sprintf("%s: gitboot %s: there is no such command", c.where, strings.Join(c.words, " "))}
		}
	}
	return nil
}
