package spec

import (
	"strings"
	"testing"
)

// Each is a mistake in what an image is built from. Files of these repos are
// not executable.
var buildMistakes = map[string]struct{ text, want string }{
	"empty fragment":      {built(""), `f: it has no FROM; begin it with ARG GITBOOT_FROM and FROM $GITBOOT_FROM`},
	"no FROM":             {built("RUN true\n"), `f: it has no FROM`},
	"another FROM":        {built("FROM debian\nRUN true\n"), `f: its last stage does not begin FROM $GITBOOT_FROM`},
	"before FROM":         {built("RUN true\nFROM $GITBOOT_FROM\n"), `f:1: RUN before the first FROM; only ARG may be there; move it below the FROM`},
	"unknown instruction": {built("FROM $GITBOOT_FROM\n\nRUNN true\n"), `f:3: "RUNN" is no instruction; correct it`},
	"lost backslash":      {built("FROM $GITBOOT_FROM\nRUN true\n  && false\n"), `f:3: "&&" is no instruction; correct it; a line that belongs to the one before needs a backslash`},
	"unknown flag":        {built("FROM $GITBOOT_FROM\nCOPY --chwon=0:0 f /f\n"), `f:2: COPY has no flag --chwon; it has --chown, --chmod`},
	"no value":            {built("FROM golang:$V AS b\nFROM $GITBOOT_FROM\n"), `f:1: FROM "golang:$V": argument V has no value here; write ARG V=… before the first FROM, or set it in args`},
	"bad image":           {built("FROM Golang AS b\nFROM $GITBOOT_FROM\n"), `f:1: "Golang" is not an image reference; write registry/repository:tag, in lower case`},
	"bad image of a copy": {built("FROM $GITBOOT_FROM\nCOPY --from=a:b:c /x /x\n"), `f:2: "a:b:c" is not an image reference`},
	"nothing to copy":     {built("FROM $GITBOOT_FROM\nRUN true\nCOPY files/motd /etc/\n"), `f:3: the context "." lacks "files/motd"; add it, or correct the path`},
	"no match":            {built("FROM $GITBOOT_FROM\nCOPY *.conf /etc/\n"), `f:2: "*.conf" matches nothing in the context "."`},
	"nothing to mount":    {built("FROM $GITBOOT_FROM\nRUN --mount=source=x,target=/x true\n"), `f:2: the context "." lacks "x"`},
	"endless heredoc":     {built("FROM $GITBOOT_FROM\nRUN <<EOF\ntrue\n"), `f:2: its heredoc <<EOF has no end; end it with a line that is EOF alone`},
	"no pair":             {built("FROM $GITBOOT_FROM\nENV A=\"b\n"), `f:2: ENV: a double quote has no pair`},
	"no brace":            {built("FROM $GITBOOT_FROM\nWORKDIR ${A\n"), `f:2: WORKDIR: "${" has no "}"`},
	"NUL":                 {built("FROM $GITBOOT_FROM\nRUN \x00\n"), `gitboot.toml:3: image.a.build.containerfiles[0] = "f": holds a NUL`},
	"fragment a folder":   {"[image.a.build]\nfrom = \"x\"\ncontainerfiles = [\"d\"]\n-- d/x --\n", `gitboot.toml:3: image.a.build.containerfiles[0] = "d": is a folder`},
	"no context":          {"[image.a.build]\nfrom = \"x\"\ncontext = \"d\"\n", `gitboot.toml:3: image.a.build.context = "d": is not in the repo`},
	"our argument":        {"[image.a.build]\nfrom = \"x\"\nargs = { GITBOOT_FROM = \"evil\" }\n", `gitboot.toml:3: image.a.build.args.GITBOOT_FROM = "GITBOOT_FROM": is an argument that gitboot keeps for itself; give it another name`},
	"label of two lines":  {"[image.a.build]\nfrom = \"x\"\n[image.a.build.labels]\nb = \"c\\nd\"\n", `gitboot.toml:4: image.a.build.labels.b = "c\nd": is not one line; write it without newlines`},
	"path with a blank":   {"[image.a.build]\nfrom = \"x\"\n[[image.a.build.copy]]\nfrom = \"none\"\nto = \"/a\"\n[[image.a.build.copy]]\nfrom = \"a b\"\nto = \"/x\"\n-- a b --\n", `gitboot.toml:7: image.a.build.copy[1].from = "a b": has white space or one of`},
	"path with a dollar":  {"[image.a.build]\nfrom = \"x\"\nrecipe = \"$r\"\n-- $r/script --\n", `gitboot.toml:3: image.a.build.recipe = "$r": has white space or one of`},
	"no script in it":     {"[image.a.build]\nfrom = \"x\"\nrecipe = \"r\"\n-- r/x --\n", `gitboot.toml:3: image.a.build.recipe = "r": has a script that is not in the repo`},
	"script not for us":   {"[image.a.build]\nfrom = \"x\"\nrecipe = \"r\"\n-- r/script --\n#!/bin/sh\n", `gitboot.toml:3: image.a.build.recipe = "r": has a script that is not executable; run git update-index --chmod=+x r/script`},
	"bootstrap not":       {"[image.a.build]\nfrom = \"scratch\"\nbootstrap = [\"./b\"]\n-- b --\n#!/bin/sh\n", `gitboot.toml:3: image.a.build.bootstrap[0] = "./b": is not executable`},
	"empty command":       {"[image.a.build]\nfrom = \"x\"\nrun = [\"true\", \" \"]\n", `gitboot.toml:3: image.a.build.run[1]: is no command`},
}

func built(fragment string) string {
	return "[image.a.build]\nfrom = \"x\"\ncontainerfiles = [\"f\"]\n-- f --\n" + fragment
}

func TestBuildMistakes(t *testing.T) { testMistakes(t, buildMistakes) }

// All mistakes of all fragments are told at once, each of them once, however
// many images are built from the fragment.
func TestBuildMistakesTogether(t *testing.T) {
	_, err := Load(t.Context(), repo("[image.a.build]\nfrom = \"x\"\ncontainerfiles = [\"f\", \"g\"]\ncopy = [{ from = \"$\", to = \"/x\" }]\n"+
		"[image.b.build]\nfrom = \"x\"\ncontainerfiles = [\"g\"]\nrun = [\"\"]\n"+
		"-- $ --\n-- f --\nFROM $GITBOOT_FROM\nCOPY none /\nCOPY nothing /\n-- g --\nFROM $GITBOOT_FROM\nFOO\nBAR\n"))
	if err == nil {
		t.Fatal("it is taken")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{`f:2: the context "." lacks "none"`, `f:3: `, `g:2: "FOO"`, `g:3: "BAR"`, `gitboot.toml:4: image.a.build.copy[0].from`, `gitboot.toml:8: image.b.build.run[0]`} {
		if len(lines) != 6 || !strings.HasPrefix(lines[i], want) {
			t.Errorf("got\n%s\nwithout %s", err, want)
		}
	}
}
