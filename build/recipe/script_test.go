package recipe

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

func TestBootstrapKey(t *testing.T) {
	files := map[string]string{"arch/make.sh": "#!/bin/sh\n", "arch/list": "1", "other": "1"}
	r := Recipe{Bootstrap: []string{"./arch/make.sh"}}
	prepared := func(change func()) *Prepared {
		change()
		r.FS = recipetest.Repo(files)
		return prepare(t, r)
	}
	before := prepared(func() {})
	for _, c := range []struct {
		change func()
		want   string
	}{
		{func() { files["other"] = "2" }, ""},
		{func() { files["arch/list"] = "2" }, "arch/list changed"},
		{func() { files["arch/make.sh"] += "true" }, "arch/make.sh changed"},
		{func() { r.Bootstrap = []string{"./arch/make.sh", "x"} }, "bootstrap changed"},
		{func() { files["make.sh"], r.Bootstrap = "#!/bin/sh\n", []string{"./make.sh"} },
			"bootstrap changed; make.sh is new; arch/list is gone; arch/make.sh is gone"},
		{func() { files["more"] = "1" }, ""},
	} {
		after := prepared(c.change)
		if got := strings.Join(after.Key(Settings{}).Differences(before.Key(Settings{})), "; "); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
		if (after.BootstrapHash() == before.BootstrapHash()) != (c.want == "") {
			t.Errorf("%s: the base's hash says otherwise", c.want)
		}
		before = after
	}
}

// What the kernel could not execute is refused, whether a bootstrap or a recipe
// runs it.
func TestScriptsAreExecutable(t *testing.T) {
	program := func(content string, mode fs.FileMode) fstest.MapFS {
		return fstest.MapFS{"a/script": {Data: []byte(content), Mode: mode}}
	}
	link := program("other", fs.ModeSymlink|0o777)
	link["a/other"] = &fstest.MapFile{Data: []byte("#!/bin/sh\n"), Mode: 0o755}
	for _, c := range []struct {
		fsys fstest.MapFS
		want string // "" if it can be
	}{
		{program("#!/bin/sh\n", 0o755), ""},
		{program("#! /usr/bin/env bash", 0o755), ""},
		{program("\x7fELF\x02", 0o755), ""},
		{link, ""},
		{program("#!/bin/sh\n", 0o644), "is not executable; run git update-index --chmod=+x a/script"},
		{program("echo\n", 0o755), "says not what runs it; begin it with #!/bin/sh, or like"},
		{program("#!sh\n", 0o755), "says not what runs it"},
		{program("", 0o755), "says not what runs it"},
		{program("#!/bin/sh\r\necho\r\n", 0o755), "ends with a carriage return"},
		{recipetest.Repo(map[string]string{"a/script/x": "x"}), "is not a file"},
		{recipetest.Repo(map[string]string{"a/x": "x"}), "is not in the repo"},
	} {
		for _, r := range []Recipe{{FS: c.fsys, Bootstrap: []string{"./a/script"}}, {FS: c.fsys, Recipe: "a"}} {
			if c.want == "" {
				prepare(t, r)
			} else if got := refused(t, r); !strings.Contains(got, c.want) {
				t.Errorf("%q, not %q", got, c.want)
			}
		}
	}
}
