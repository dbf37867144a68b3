package wanted

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

// What is remembered of a revision is what it wants, secrets' keys included; of another
// revision, machine or program, or if the file is damaged, it is nothing.
func TestRemembered(t *testing.T) {
	dir := t.TempDir()
	git, err := lab.NewRepo(t.Context(), filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range secretive(t) {
		if err := git.Write(name, string(file.Data)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := git.Commit(t.Context(), "config"); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	repo := Repo{
		Source: source.Options{URL: git.Dir, Dir: filepath.Join(dir, "clone"), Log: log}, Memory: filepath.Join(dir, "wants"),
		Machine: "laptop", Log: log, Now: time.Now,
	}
	read := func(r Repo) *Wanted {
		t.Helper()
		w, err := r.Read(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := read(repo)
	if again := read(repo); again.memory == "" {
		t.Fatal("it is remembered before it was noted")
	}
	if err := first.Remember(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(repo.Memory); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file is %v: %v", info.Mode(), err)
	}
	good := read(repo)
	if diff := cmp.Diff(first.Wants, good.Wants); diff != "" || good.memory != "" {
		t.Errorf("remembered is otherwise, or nothing: %s", diff)
	}
	if err := good.Remember(); err != nil {
		t.Error(err)
	}
	if first.Wants.Images[0].Hooks[0].Files[0].Inserts[0].Key == "" {
		t.Error("this is to be about secrets, and there is none")
	}

	for what, change := range map[string]func(*Repo){
		"another machine":        func(r *Repo) { r.Machine = "desk" },
		"whose id is known":      func(r *Repo) { r.MachineID = "0123456789abcdef0123456789abcdef" },
		"an image would do":      func(r *Repo) { r.OrImage = true },
		"with submodules":        func(r *Repo) { r.Source.Submodules = true },
		"of other hosts":         func(r *Repo) { r.Source.SubmoduleHosts = []string{"git.lan"} },
		"nothing is remembered":  func(r *Repo) { r.Memory = "" },
		"as files lie there":     func(r *Repo) { r.Worktree = true },
		"of another file":        func(r *Repo) { r.Memory = git.Dir },
		"that has to be another": func(r *Repo) { r.Name = "another" },
		"in a folder":            func(r *Repo) { r.Subdir = "secrets" },
	} {
		other := repo
		change(&other)
		if other.recall(first.Revision.Hash) != nil && !other.Worktree {
			t.Errorf("%s: what is remembered is taken for it", what)
		}
		if w, err := other.Read(t.Context(), ""); err == nil && !other.Worktree && w.memory != other.Memory {
			t.Errorf("%s: it is remembered already", what)
		}
	}

	data, err := durable.ReadSummed(repo.Memory)
	if err != nil {
		t.Fatal(err)
	}
	for what, old := range map[string]string{"another program": `"program":"`, "another revision": `"revision":"`} {
		if err := durable.WriteSummed(repo.Memory, bytes.Replace(data, []byte(old), []byte(old+"0"), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if w := read(repo); w.memory == "" {
			t.Errorf("%s: what is remembered is taken for it", what)
		}
	}
	if err := os.WriteFile(repo.Memory, bytes.Replace(data, []byte("laptop"), []byte("desktop"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := read(repo); w.memory == "" || cmp.Diff(first.Wants, w.Wants) != "" {
		t.Error("a damaged file is believed")
	}
}

// secretive is a config repo of two machines, of which one uses a secret.
func secretive(t *testing.T) fstest.MapFS {
	t.Helper()
	id, _, err := secret.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := secret.Seal([]byte("hunter2\n"), []secret.Recipient{id.Recipient})
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`
[image.a]
pull = "a"
[machine.laptop]
key    = %q
images = ["a"]
hooks  = ["wifi", "name"]
boot   = { mode = "managed", timeout = 0 }
[machine.desk]
images = ["a"]
[secret.wifi]
file       = "wifi.age"
machines   = ["laptop"]
recipients = [%q]
[hook.name.hostname]
[[hook.wifi.file]]
path   = "/etc/wifi"
secret = "wifi"
[[hook.wifi.run]]
content = "#!/bin/sh\n"
secrets = ["wifi"]
`, id.Recipient, id.Recipient)
	return fstest.MapFS{"gitboot.toml": {Data: []byte(config)}, "wifi.age": {Data: sealed}}
}

// Nothing that a machine may want is lost where it is remembered.
func TestExamplesAreRemembered(t *testing.T) {
	repos := map[string]fs.FS{"with secrets": secretive(t)}
	for _, name := range []string{"dotfiles", "family", "laptop"} {
		repos[name] = os.DirFS(filepath.Join("../../examples", name))
	}
	for name, files := range repos {
		fleet, err := spec.Load(t.Context(), files)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, machine := range fleet.Machines() {
			wants, err := fleet.Resolve(t.Context(), machine)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			r := &Repo{Memory: filepath.Join(t.TempDir(), "wants"), Machine: machine}
			w := &Wanted{Wants: wants, known: r.basis("1"), memory: r.Memory}
			if err := w.Remember(); err != nil {
				t.Errorf("%s: %s: %v", name, machine, err)
			}
			if diff := cmp.Diff(wants, r.recall("1")); diff != "" {
				t.Errorf("%s: %s: %s", name, machine, diff)
			}
		}
	}
}
