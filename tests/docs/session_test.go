package docs

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestMarked plays the fences that are marked with <!-- test: NAME -->. Those
// of one name are parts of one session.
func TestMarked(t *testing.T) {
	played := 0
	for _, p := range pages(t) {
		for _, f := range marked(p) {
			played++
			t.Run(f.test, func(t *testing.T) {
				t.Parallel()
				report(t, newWorld(t).play(t, f))
			})
		}
	}
	if played == 0 {
		t.Error("no fence is marked")
	}
}

// marked returns a page's marked fences; those of one name are one.
func marked(p page) []fence {
	var out []fence
	for _, f := range p.fences {
		i := slices.IndexFunc(out, func(o fence) bool { return o.test == f.test })
		switch {
		case f.test == "":
		case i < 0:
			out = append(out, f)
		default:
			out[i].text += f.text
		}
	}
	return out
}

// play runs a fence and compares what it prints, if it shows that.
func (w *world) play(t *testing.T, f fence) []string {
	t.Helper()
	where := fmt.Sprintf("%s:%d (%s)", f.page, f.line, f.test)
	if f.lang != "console" {
		if out, err := w.bash(t, "set -eu\n"+f.text); err != nil {
			return []string{fmt.Sprintf("%s: %v\n%s", where, err, out)}
		}
		return nil
	}
	steps := session(f.text)
	if len(steps) == 0 {
		return []string{where + ": there is no line that begins with $"}
	}
	const mark = "@@ the next command @@"
	var script strings.Builder
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\necho; echo '%s'\n", s.command, mark)
	}
	out, err := w.bash(t, script.String())
	if err != nil {
		return []string{fmt.Sprintf("%s: %v\n%s", where, err, out)}
	}
	var problems []string
	for i, got := range strings.SplitN(out, mark, len(steps)+1)[:len(steps)] {
		if !sameText(steps[i].output, got) {
			problems = append(problems, fmt.Sprintf("%s: %s\nprints\n%s\nthe page shows\n%s", where, steps[i].command, strings.TrimSpace(got), steps[i].output))
		}
	}
	return problems
}

// bash runs a script in the world's home. What a page says of the registry is
// turned into where it really is.
func (w *world) bash(t *testing.T, script string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash")
	cmd.Dir, cmd.Env = w.home, w.env
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(script, registryName, w.addr))
	out, err := cmd.CombinedOutput()
	return strings.NewReplacer(w.addr, registryName, w.stage, "/var/lib/gitboot").Replace(string(out)), err
}

// A step is a command and what the page says it prints.
type step struct{ command, output string }

func session(text string) []step {
	var steps []step
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			steps = append(steps, step{command: strings.TrimSpace(command)})
		} else if n := len(steps); n > 0 {
			steps[n-1].output += line
		}
	}
	return steps
}

// noise is what the pages leave out: log lines, and progress.
var noise = regexp.MustCompile(`(?m)^(time=.*|.*: [\d.]+ [kMG]?B in [\d.]+m?s \(.*/s\))\n`)

// What differs from run to run, and what stands for it.
var varying = []struct {
	what  *regexp.Regexp
	stand string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{40}\b`), "HASH"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b|\b[0-9a-f]{16}\b`), "SHORT"},
	{regexp.MustCompile(`\b[\d.]+ [kMG]?B\b`), "SIZE"},
	{regexp.MustCompile(`\b[\d.]+(ms|s)\b`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`), "DATE"},
	{regexp.MustCompile(`[ \t]+`), " "},
	{regexp.MustCompile(` ?\n`), "\n"},
}

func plain(text string) string {
	text = noise.ReplaceAllString(text, "")
	for _, v := range varying {
		text = v.what.ReplaceAllString(text, v.stand)
	}
	return strings.TrimSpace(text)
}

// sameText compares but for what varies; … alone on a line matches any lines.
func sameText(want, got string) bool {
	pattern := regexp.QuoteMeta(plain(want) + "\n")
	pattern = strings.ReplaceAll(pattern, "…\n", "(.*\n)*")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(plain(got) + "\n")
}
