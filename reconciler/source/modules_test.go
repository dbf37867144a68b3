package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// withModules makes fleet, which has lib as a submodule, which has deep.
func withModules(t *testing.T) (fleet, lib, deep *repo) {
	t.Helper()
	parent := t.TempDir()
	at := func(name string) *repo {
		r := &repo{t, filepath.Join(parent, name)}
		if err := os.Mkdir(r.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r.git("init", "-q", "-b", "main")
		return r
	}
	fleet, lib, deep = at("fleet"), at("lib"), at("deep")
	deep.commit("deep.toml", "deep 1")
	lib.commit("lib.toml", "lib 1")
	lib.addModule("../deep", "under/deep")
	fleet.commit("gitboot.toml", "fleet 1")
	fleet.addModule("../lib", "lib")
	return fleet, lib, deep
}

func (r *repo) addModule(url, at string) {
	r.t.Helper()
	r.git("-c", "protocol.file.allow=always", "submodule", "-q", "add", "--force", url, at)
	r.commitAll("add " + at)
}

// moveModule has the repo name the newest commit of a submodule.
func (r *repo) moveModule(at string) string {
	r.t.Helper()
	r.git("-c", "protocol.file.allow=always", "-C", at, "pull", "-q", "origin", "main")
	return r.commitAll("move " + at)
}

func TestSubmodules(t *testing.T) {
	for _, name := range []string{"path", "https", "ssh"} {
		t.Run(name, func(t *testing.T) {
			fleet, lib, _ := withModules(t)
			o := remotes(t, fleet)[name]
			first := open(t, o).mustFetch(t, "").Hash
			if _, err := fs.ReadFile(files(t, o, first), "lib/lib.toml"); err == nil || !strings.Contains(err.Error(), "say submodules = true") {
				t.Errorf("unasked: %v", err)
			}
			o.Submodules = true
			open(t, o).mustFetch(t, first)
			all := files(t, o, first)
			if err := fstest.TestFS(all, "gitboot.toml", "lib/lib.toml", "lib/under/deep/deep.toml"); err != nil {
				t.Error(err)
			}
			if data, err := fs.ReadFile(all, "lib/under/deep/deep.toml"); string(data) != "deep 1" {
				t.Errorf("%q, %v", data, err)
			}
			before := listing(t, o.Dir)
			open(t, o).mustFetch(t, first)
			if after := listing(t, o.Dir); after != before {
				t.Errorf("nothing new is written:\n%s%s", before, after)
			}

			lib.commit("lib.toml", "lib 2")
			second := fleet.moveModule("lib")
			lib.commit("lib.toml", "lib 3") // which the fleet does not name
			open(t, o).mustFetch(t, first)
			for hash, want := range map[string]string{first: "lib 1", second: "lib 2"} {
				if data, err := fs.ReadFile(files(t, o, hash), "lib/lib.toml"); string(data) != want {
					t.Errorf("%s: %q, %v; want %q", hash, data, err, want)
				}
			}

			fleet.git("rm", "-q", "lib")
			third := fleet.commitAll("none")
			open(t, o).mustFetch(t, second)
			if n := clonesIn(t, o); n != 2 {
				t.Errorf("%d clones of submodules, and the last revision still needs 2", n)
			}
			fleet.commit("gitboot.toml", "fleet 2")
			open(t, o).mustFetch(t, third)
			if n := clonesIn(t, o); n != 0 {
				t.Errorf("%d clones of submodules that nothing needs", n)
			}
		})
	}
}

func files(t *testing.T, o Options, hash string) fs.FS {
	t.Helper()
	all, err := open(t, o).Files(hash, "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func clonesIn(t *testing.T, o Options) int {
	t.Helper()
	all, err := os.ReadDir(o.modulesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(all)
}

// TestSubmodulesElsewhere refuses what the repo's author may not choose, and what
// is not there; a later good one is taken.
func TestSubmodulesElsewhere(t *testing.T) {
	fleet, lib, _ := withModules(t)
	o := newHTTPSServer(t, fleet).options(t, fleet)
	o.Submodules = true
	first := open(t, o).mustFetch(t, "").Hash
	for url, want := range map[string]string{
		lib.dir:                        "is a path, which a repo on a server does not choose",
		"https://evil.example/lib":     `submodule_hosts = ["evil.example"]`,
		"http://127.0.0.1/lib":         "http is not supported",
		"https://a:s3cret@127.0.0.1/x": "the URL holds a password",
		"../gone":                      "no such repo",
		"../../lib":                    "leads out of",
	} {
		fleet.git("config", "-f", ".gitmodules", "submodule.lib.url", url)
		fleet.commitAll("elsewhere")
		removeAll(t, o.modulesDir())
		if _, err := open(t, o).Fetch(t.Context(), first); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "submodule lib") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v; want: %s", url, err, want)
		}
		if head := open(t, o).clone.Head().String(); head != first {
			t.Errorf("%s: HEAD = %s", url, head)
		}
	}
	fleet.git("config", "-f", ".gitmodules", "submodule.lib.url", "../lib")
	good := fleet.commit("gitboot.toml", "fleet 2")
	if rev := open(t, o).mustFetch(t, first); rev.Hash != good {
		t.Errorf("a later good one: %+v", rev)
	}
}
