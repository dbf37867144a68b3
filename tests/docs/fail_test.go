package docs

import "testing"

// A check that never complains checks nothing.
func TestTheChecksCanFail(t *testing.T) {
	parse := func(text string) page { return parsePage("docs/bad.md", text) }
	for name, text := range map[string]string{
		"link to nothing":    "see [it](nothing.md)",
		"link to no heading": "see [it](config.md#no-such-heading)",
	} {
		if len(checkLinks(parse(text))) == 0 {
			t.Errorf("%s: no complaint", name)
		}
	}
	if len(checkFileNames(parse("see `tests/nothing.go`"))) == 0 {
		t.Error("missing file: no complaint")
	}
	for name, text := range map[string]string{
		"no file name": "```toml\na = 1\n```",
		"not a repo":   "```toml file=machines/a.toml\n```",
		"unknown key":  "```toml file=gitboot.toml\n[machine.a]\nimags = []\n```",
		"bad template": "```toml file=gitboot.toml\n[image.a]\npull = \"a.b/c\"\n[machine.a]\nimages = [\"a\"]\nhooks=[\"h\"]\n[[hook.h.file]]\npath=\"/x\"\ntemplate=\"{{.Vars.x}}\"\n```",
	} {
		if len(checkTOML(t.Context(), parse(text))) == 0 {
			t.Errorf("%s: no complaint", name)
		}
	}
	gitboot := built(t)
	if len(checkAgents(t, gitboot, parse("```toml file=agent.toml\nrepi = \"x\"\n```"))) == 0 {
		t.Error("unknown key of agent.toml: no complaint")
	}
	for name, text := range map[string]string{
		"unknown command":       "```sh\nsudo gitboot bott list\n```",
		"unknown subcommand":    "```console\n# gitboot stage burn\n```",
		"unknown flag":          "use `gitboot plan --jsn` here",
		"flag of another":       "```ini\nExecStart=/usr/local/bin/gitboot status --once\n```",
		"behind other commands": "```sh\ncd x && gitboot plan --wait | cat\n```",
	} {
		lines := commandLines(parse(text))
		if len(lines) != 1 {
			t.Errorf("%s: found %d command lines", name, len(lines))
		} else if len(checkCommand(t, gitboot, lines[0])) == 0 {
			t.Errorf("%s: no complaint", name)
		}
	}
}

func TestSessionsCanFail(t *testing.T) {
	for name, text := range map[string]string{
		"other output":   "$ echo this\nthat",
		"missing output": "$ echo this",
		"fails":          "$ exit 3",
		"no command":     "echo this",
	} {
		f := fence{page: "docs/bad.md", lang: "console", test: "bad", text: text + "\n"}
		if len(newWorld(t).play(t, f)) == 0 {
			t.Errorf("%s: no complaint", name)
		}
	}
	if len(newWorld(t).play(t, fence{lang: "sh", test: "bad", text: "false\ntrue\n"})) == 0 {
		t.Error("a script that fails: no complaint")
	}
}

func TestSameText(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{"a  2.5 MB in 3.1s\n", "a 7 B in 20ms\n", true},
		{"first\n…\nlast\n", "first\nx\ny\nlast\n", true},
		{"first\n…\nlast\n", "first\nx\n", false},
		{"at 0123456789ab\n", "at ba9876543210\n", true},
		{"a\n", "time=2026-01-01 level=INFO msg=x\na\n", true},
		{"a\n", "b\n", false},
	} {
		if sameText(c.want, c.got) != c.same {
			t.Errorf("%q and %q: want same %t", c.want, c.got, c.same)
		}
	}
}
