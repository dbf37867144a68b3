package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// A script of the repo runs in a copy of its folder, sees what is beside it,
// and leaves nothing behind.
func TestBootstrapScript(t *testing.T) {
	p := enginetest.Prepare(t, recipe.Recipe{Bootstrap: []string{"./arch/make.sh", "one two", "three"}, FS: recipetest.Repo(map[string]string{
		"arch/make.sh":   "#!/bin/sh\ntouch \"$TMPDIR/left\" left; cat conf/list; printf '%s\\n' \"$@\" \"$SOURCE_DATE_EPOCH\"; ls; echo note >&2\n",
		"arch/conf/list": "base\n",
		"other":          "x",
	})})
	temp := t.TempDir()
	var out, log bytes.Buffer
	if err := engine.Bootstrap(t.Context(), p, &out, engine.Options{TempDir: temp, Epoch: time.Unix(42, 0), Log: &log}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "base\none two\nthree\n42\nconf\nleft\nmake.sh\n"; got != want {
		t.Errorf("it wrote %q, not %q", got, want)
	}
	if log.String() != "note\n" {
		t.Errorf("the log is %q", log.String())
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left are %v %v", left, err)
	}
}

// One that is cut leaves no process, mount or file.
func TestBootstrapIsCut(t *testing.T) {
	p := enginetest.Prepare(t, recipe.Recipe{Bootstrap: []string{"./make.sh"}, FS: recipetest.Repo(map[string]string{
		"make.sh": "#!/bin/sh\nmkdir -p \"$TMPDIR/root/proc\"; mount -t proc proc \"$TMPDIR/root/proc\"\n" + enginetest.Hang + "\n",
	})})
	temp := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := engine.Bootstrap(ctx, p, enginetest.OnText("begun", cancel), engine.Options{TempDir: temp, Log: io.Discard}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left are %v %v", left, err)
	}
	enginetest.NoneRuns(t)
}

// Scripts share files by links, which lead to nothing where only the script's
// folder is: the files themselves are there.
func TestScriptsShareFiles(t *testing.T) {
	link := func(to string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
	}
	shared := "one"
	prepared := func() *recipe.Prepared {
		files := recipetest.Repo(map[string]string{"recipes/a/script": "#!/bin/sh\n", "recipes/a/own": "x", "make/m.sh": "#!/bin/sh\ncat common own\n", "make/o": "own\n", "recipes/common": shared})
		files["recipes/a/common"], files["make/common"] = link("../common"), link("../recipes/common")
		files["recipes/a/inside"], files["recipes/a/system"], files["recipes/a/nowhere"] = link("own"), link("/etc/passwd"), link("../nowhere")
		files["make/own"] = link("o")
		return enginetest.Prepare(t, recipe.Recipe{FS: files, Recipe: "recipes/a", Bootstrap: []string{"./make/m.sh"}})
	}
	p := prepared()
	for _, f := range p.Files {
		name := strings.TrimPrefix(f.Name, ".gitboot/recipes/a/")
		if want := map[string]string{"inside": "own", "system": "/etc/passwd", "nowhere": "../nowhere"}[name]; f.Link != want {
			t.Errorf("%s is a link to %q, not %q", name, f.Link, want)
		}
	}
	var out bytes.Buffer
	if err := engine.Bootstrap(t.Context(), p, &out, engine.Options{TempDir: t.TempDir(), Log: io.Discard}); err != nil || out.String() != "oneown\n" {
		t.Errorf("the bootstrap wrote %q: %v", out.String(), err)
	}
	shared = "two"
	if got := prepared().Key(recipe.Settings{}).Differences(p.Key(recipe.Settings{})); !slices.Equal(got, []string{"recipes/common changed"}) {
		t.Errorf("%q", got)
	}
}
