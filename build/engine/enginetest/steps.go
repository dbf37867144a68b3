package enginetest

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
)

// What a fragment is run as is its own affair.
func testUser(t *testing.T, e Tested, base engine.Image) {
	all := Contents(t, Built(t, e, recipe.Recipe{
		FS: recipetest.Repo(map[string]string{
			"a":        "FROM $GITBOOT_FROM\nRUN chmod 1777 /tmp\nUSER 7:7\nRUN echo a > /tmp/a\n",
			"b":        "FROM $GITBOOT_FROM\nRUN echo b > /root/b\n",
			"r/script": "#!/bin/sh\necho r > /root/r\n",
		}),
		Containerfiles: []string{"a", "a", "b", "a"}, Recipe: "r", Run: []string{"echo run > /root/run"}, RootfsFixes: true,
	}, engine.Options{Base: base.ID}))
	for path, uid := range map[string]int{"tmp/a": 7, "root/b": 0, "root/r": 0, "root/run": 0} {
		if got, ok := all[path]; !ok || got.Uid != uid {
			t.Errorf("%s is user %d's (%v)", path, got.Uid, ok)
		}
	}
}

// What is declared to be copied goes where it is declared to go.
func testNames(t *testing.T, e Tested, base engine.Image) {
	names := []string{`/etc/a b`, `/etc/it's`, `/etc/"quoted"`, `/etc/$HOME`, `/etc/back\slash`, `/etc/${x`, `/etc/[x]*?`, `/etc/<<EOF`}
	r := recipe.Recipe{FS: recipetest.Repo(map[string]string{"x": "x"})}
	for _, name := range names {
		r.Copy = append(r.Copy, recipe.Copy{From: "x", To: name})
	}
	all := Contents(t, Built(t, e, r, engine.Options{Base: base.ID}))
	for _, name := range names {
		if _, ok := all[strings.TrimPrefix(name, "/")]; !ok {
			t.Errorf("%s is not there", name)
		}
	}
}

// What a step mounts over a folder leaves that as it was.
func testMounts(t *testing.T, e Tested, base engine.Image) {
	prepared := Built(t, e, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{
		"mkdir -p /var/cache/x /data/sub; chmod 700 /var/cache/x; echo kept > /var/cache/x/kept; echo kept > /data/kept; echo kept > /data/sub/kept; echo kept > /tmp/kept",
	}}, engine.Options{Base: base.ID})
	steps := []string{
		"--mount=type=cache,target=/var/cache/x touch /var/cache/x/new",
		"--mount=type=cache,target=/var/cache/x,sharing=locked --mount=type=cache,target=/data/sub ls /var/cache/x/new && ! ls /data/sub/new",
		"--mount=type=tmpfs,target=/data touch /data/new",
		"--mount=type=tmpfs,target=/tmp touch /tmp/new",
		"--mount=type=bind,source=d,target=/data test $(cat /data/f) = bound",
		"--mount=type=bind,source=d/f,target=/data/kept test $(cat /data/kept) = bound",
		"--mount=source=d,dst=/none/here test $(cat /none/here/f) = bound",
		"--mount=type=tmpfs,target=\"/data/sub\" \\\n  --mount=type=cache,id=other,destination=/root \\\n  # why\n  touch /root/new /data/sub/new",
		"touch /last",
	}
	img := Built(t, e, recipe.Recipe{
		FS:             recipetest.Repo(map[string]string{"d/f": "bound", "f": "FROM $GITBOOT_FROM\nRUN " + strings.Join(steps, "\nRUN ") + "\n"}),
		Containerfiles: []string{"f"},
	}, engine.Options{Base: prepared.ID})
	for _, l := range img.Layers[len(prepared.Layers):] {
		for path := range Contents(t, engine.Image{Layers: []engine.Layer{l}}) {
			if strings.Contains(path, ".wh.") || strings.HasSuffix(path, "/new") || strings.HasSuffix(path, "kept") || strings.Contains(path, "gitboot") {
				t.Errorf("a step that only mounts has left %s", path)
			}
		}
	}
	if _, ok := Contents(t, img)["last"]; !ok {
		t.Error("the last step has done nothing")
	}
}
