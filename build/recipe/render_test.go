package recipe

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

func TestContextHoldsWhatStepsTake(t *testing.T) {
	files := recipetest.Repo(map[string]string{
		"ctx/a.txt": "a", "ctx/b.txt": "b", "ctx/c.sh": "#!/bin/sh\n", "ctx/d/e": "e", "ctx/d/f/g": "g", "top": "top", "r/script": "#!/bin/sh\n",
	})
	files["ctx/link"] = &fstest.MapFile{Data: []byte("d/e"), Mode: fs.ModeSymlink | 0o777}
	files["ctx/etc/localtime"] = &fstest.MapFile{Data: []byte("/usr/share/zoneinfo/UTC"), Mode: fs.ModeSymlink | 0o777}
	for _, c := range []struct {
		steps, context string
		want           []string
	}{
		{"COPY a.txt /", "ctx", []string{"a.txt"}},
		{"COPY --chown=1:1 *.txt ./c.sh /x/", "ctx", []string{"a.txt", "b.txt", "c.sh"}},
		{`ADD ["d", "/x"]`, "ctx", []string{"d", "d/e", "d/f", "d/f/g"}},
		{"COPY link /x", "ctx", []string{"d/e", "link"}},
		{"COPY etc /etc", "ctx", []string{"etc", "etc/localtime"}},
		{"COPY --from=other /a /b\nADD https://example.org/x /x", "ctx", nil},
		{"RUN --mount=type=bind,source=d,target=/mnt true", "ctx", []string{"d", "d/e", "d/f", "d/f/g"}},
		{"RUN --mount=type=secret,id=x --mount=type=cache,target=/c true", "ctx", nil},
		{"COPY \\\n  # a comment\n  a.txt \\\n  b.txt /x/", "ctx", []string{"a.txt", "b.txt"}},
		{"COPY top \\\n / ", "", []string{"top"}},
		{"COPY $X /", "ctx/d", []string{"e", "f", "f/g"}},
	} {
		files["f"] = &fstest.MapFile{Data: []byte("FROM $GITBOOT_FROM\n" + c.steps + "\n")}
		p := prepare(t, Recipe{FS: files, Context: c.context, Containerfiles: []string{"f"}})
		var got []string
		for _, f := range p.Files {
			got = append(got, f.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q takes %q, not %q", c.steps, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	files := recipetest.Repo(map[string]string{"r/script": "echo not executable\n", "a b": "x"})
	link := func(name, target string) {
		files[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
	}
	link("out", "../secret")
	link("d/out", "../../secret")
	link("absolute", "/etc/shadow")
	link("loop", "loop")
	for _, c := range []struct{ text, want string }{
		{"FROM $GITBOOT_FROM\nCOPY out /x", `out is a link to "../secret", which leaves the repo`},
		{"FROM $GITBOOT_FROM\nCOPY d /x", `d/out is a link to "../../secret", which leaves the repo`},
		{"FROM $GITBOOT_FROM\nCOPY absolute /x", `absolute is a link to "/etc/shadow", which leaves the context`},
		{"FROM $GITBOOT_FROM\nCOPY loop /x", "links lead on and on"},
		{"FROM $GITBOOT_FROM\nCOPY ../../etc/passwd /x", `lacks "etc/passwd"`},
		{"FROM $GITBOOT_FROM\nCOPY *.none /x", "matches nothing"},
		{"RUN true", "it has no FROM"},
		{"ENV A=b\nFROM $GITBOOT_FROM", "f:1: ENV before the first FROM"},
		{"FROM debian", "its last stage does not begin FROM $GITBOOT_FROM"},
		{"FROM $GITBOOT_FROM\nFROM debian", "its last stage does not begin FROM $GITBOOT_FROM"},
		{"# escape=`\nFROM $GITBOOT_FROM", "remove the directive"},
		{"FROM a b c d", "write FROM IMAGE"},
	} {
		files["f"] = &fstest.MapFile{Data: []byte(c.text)}
		if got := refused(t, Recipe{FS: files, Containerfiles: []string{"f"}}); !strings.Contains(got, c.want) {
			t.Errorf("%q: %v; want %q", c.text, got, c.want)
		}
	}
	for _, c := range []struct {
		r    Recipe
		want string
	}{
		{Recipe{Recipe: "r"}, "recipe: \"r\" has a script that is not executable; run git update-index --chmod=+x r/script"},
		{Recipe{Copy: []Copy{{"a b", "/x"}}}, "copy.0.from: \"a b\" has white space"},
		{Recipe{Labels: map[string]string{"a": "b\nRUN false"}}, "labels.a: \"b\\nRUN false\" is not one line"},
	} {
		c.r.FS = files
		if got := refused(t, c.r); !strings.Contains(got, c.want) {
			t.Errorf("%+v: %v; want %q", c.r, got, c.want)
		}
	}
}

func TestStagesOfFragmentsStayApart(t *testing.T) {
	files := recipetest.Repo(map[string]string{
		"a": "ARG V=1\nFROM golang:$V AS Build\nRUN make\nFROM $GITBOOT_FROM\nCOPY --from=build /x /x\nRUN --mount=type=bind,from=0,source=/x,target=/y true\n",
		"b": "ARG GITBOOT_FROM=debian\nFROM --platform=linux/amd64 ${GITBOOT_FROM:-debian} AS build\nFROM build\nRUN <<EOF\nFROM here\nEOF\n",
	})
	p := prepare(t, Recipe{FS: files, Containerfiles: []string{"a", "b"}})
	const want = `ARG GITBOOT_FROM
ARG V=1

# a
FROM golang:1 AS gitboot-1-build
RUN make
FROM $GITBOOT_FROM AS gitboot-1-1
COPY --from=gitboot-1-build /x /x
RUN --mount=type=bind,from=gitboot-1-build,source=/x,target=/y true

# b
FROM --platform=linux/amd64 gitboot-1-1 AS gitboot-2-build
FROM gitboot-2-build AS gitboot-2-1
RUN <<EOF
FROM here
EOF
`
	if got := string(p.Containerfile); got != want {
		t.Errorf("rendered:\n%s\nwant:\n%s", got, want)
	}
}

func TestKeyNamesWhatChanged(t *testing.T) {
	files := map[string]string{"f": "FROM $GITBOOT_FROM\nCOPY data /\n", "data": "1", "other": "1"}
	r := Recipe{Containerfiles: []string{"f"}, Args: map[string]string{"LANG": "C"}, Labels: map[string]string{"l": "1"}, RootfsFixes: true}
	s := Settings{Base: "sha256:1", Engine: "buildah"}
	key := func(change func()) Key {
		change()
		fsys := recipetest.Repo(files)
		r.FS = fsys
		return prepare(t, r).Key(s)
	}
	before := key(func() {})
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() { files["other"] = "2" }, ""},
		{func() { files["data"] = "2" }, "data changed"},
		{func() { files["data"] = "#!2" }, "data changed"},
		{func() { files["f"] += "RUN true\n" }, "f changed"},
		{func() { r.Args["LANG"] = "de" }, "args.LANG changed"},
		{func() { r.Args["NEW"] = "1" }, "args.NEW is new"},
		{func() { r.Labels["l"] = "2" }, "label l changed"},
		{func() { r.Run = []string{"true"} }, "run is new"},
		{func() { r.RootfsFixes = false }, "rootfs_fixes is gone"},
		{func() { s.Base = "sha256:2" }, "from changed"},
		{func() { s.Engine = "buildkit" }, "engine changed"},
		{func() { r.Platform = "linux/arm64" }, "platform is new"},
		{func() { r.Secrets = map[string]string{"id": "/x"} }, "secrets changed"},
		{func() { r.Secrets = map[string]string{"id": "/y"} }, ""},
		{func() { r.Bootstrap = []string{"mmdebstrap"} }, "bootstrap is new"},
	} {
		after := key(c.change)
		if got := strings.Join(after.Differences(before), "; "); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
		before = after
	}
}

// What the context's ignore file keeps from engines cannot be copied.
func TestIgnored(t *testing.T) {
	for _, c := range []struct{ ignore, source, want string }{
		{"*.txt\n", "a.txt", `f:2: "a.txt" is ignored by c/.dockerignore; take it out of there, or add a line !a.txt`},
		{"# d\n/d/\n", "d/e", `"d/e" is ignored`},
		{"d\n", "d", `"d" is ignored`},
		{"*\n!d\n", "a.txt", `"a.txt" is ignored`},
		{"*\n!d\n", "d/e", ""},
		{"*\n!d/e\n", "d", ""},
		{"*\n", "*.txt", ""}, // whether something is left of it, the engine says
		{"**/e\n", "d/e", `"d/e" is ignored`},
		{"**/e\n", "d", ""},
		{"[\n", "a.txt", "c/.dockerignore: syntax error in pattern"},
	} {
		r := Recipe{
			FS:             recipetest.Repo(map[string]string{"f": "FROM $GITBOOT_FROM\nCOPY " + c.source + " /\n", "c/a.txt": "", "c/d/e": "", "c/.dockerignore": c.ignore}),
			Containerfiles: []string{"f"}, Context: "c",
		}
		if c.want == "" {
			prepare(t, r)
		} else if got := refused(t, r); !strings.Contains(got, c.want) {
			t.Errorf("%q, %s: %s, not %s", c.ignore, c.source, got, c.want)
		}
	}
}
