package submodule

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRead(t *testing.T) {
	files := fstest.MapFS{}
	if all, err := Read(files); err != nil || all != nil {
		t.Errorf("none: %v, %v", all, err)
	}
	good := "[submodule \"b\"]\n\tpath = lib/b\n\turl = ../b.git\n[submodule \"a\"]\n\tpath = a/\n\turl = https://git.example/a\n"
	many := ""
	for i := range Max + 1 {
		many += fmt.Sprintf("[submodule \"%d\"]\npath = p%d\nurl = ../x\n", i, i)
	}
	for text, want := range map[string]string{
		good: "[{a https://git.example/a} {lib/b ../b.git}]",
		"[submodule \"a\"]\npath = ../a\nurl = x\n": "!leads nowhere",
		"[submodule \"a\"]\npath = /a\nurl = x\n":   "!leads nowhere",
		"[submodule \"a\"]\npath = a\n":             "!has no url",
		"[submodule \"a\"]\nurl = a\n":              "!leads nowhere",
		"[submodule \"a":                            "!write it with git submodule add",
		many:                                        "!more than 64",
		strings.Repeat("#\n", maxFile):              "!larger than 256 KiB",
	} {
		files[File] = &fstest.MapFile{Data: []byte(text)}
		all, err := Read(files)
		if rest, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), rest) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%.80q: %v, %v; want: %s", text, all, err, rest)
			}
		} else if err != nil || fmt.Sprint(all) != want {
			t.Errorf("%.80q: %v, %v; want %s", text, all, err, want)
		}
	}
}

func TestResolve(t *testing.T) {
	for _, c := range [][3]string{
		{"https://git.example/a/fleet.git", "../lib.git", "https://git.example/a/lib.git"},
		{"https://git.example/a/fleet.git/", "../../b/lib.git", "https://git.example/b/lib.git"},
		{"https://git.example/a/fleet.git", "./lib.git", "https://git.example/a/fleet.git/lib.git"},
		{"https://git.example/a", "../../lib", ""},
		{"https://git.example/a", "../../evil.example/lib", ""},
		{"git@git.example:fleet.git", "../lib.git", "git@git.example:lib.git"},
		{"git@git.example:a/fleet.git", "../lib.git", "git@git.example:a/lib.git"},
		{"git@git.example:fleet.git", "../../lib.git", ""},
		{"ssh://git@git.example/~/fleet.git", "../lib.git", "ssh://git@git.example/~/lib.git"},
		{"/srv/fleet", "../lib", "/srv/lib"},
		{"/srv/fleet", "https://git.example/x", "https://git.example/x"},
		{"https://git.example/a", "/etc", "/etc"},
	} {
		if got, err := Resolve(c[0], c[1]); got != c[2] || (err != nil) != (c[2] == "") {
			t.Errorf("%s of %s: %q, %v; want %q", c[1], c[0], got, err, c[2])
		}
	}
}
