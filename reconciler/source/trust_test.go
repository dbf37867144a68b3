package source

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
)

// lie has the repo's server say that it has no parents of some commits, and so
// send none.
func (r *repo) lie(commits ...string) {
	r.t.Helper()
	path := filepath.Join(r.dir, ".git/shallow")
	if len(commits) == 0 {
		if err := os.Remove(path); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, []byte(strings.Join(commits, "\n")+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// TestShallowLie has a real git server say of a tip that there is nothing before
// it, and then serve as it should.
func TestShallowLie(t *testing.T) {
	for name, known := range map[string]bool{"known": true, "at first": false} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			first := r.commit("a", "1")
			o := newHTTPSServer(t, r).options(t, r)
			if known {
				open(t, o).mustFetch(t, "")
			}
			second := r.commit("a", "2")
			third := r.commit("a", "3")
			r.lie(third, second)
			_, err := open(t, o).Fetch(t.Context(), "")
			var rewritten *RewrittenError
			if known != errors.As(err, &rewritten) || !known && err != nil {
				t.Fatalf("while it lies: %v", err)
			}
			r.lie()
			o.MinRevision = first
			open(t, o).mustFetch(t, first)
			if _, err := os.Stat(filepath.Join(o.Dir, "shallow")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the lie is still recorded (%v)", err)
			}
			runGit(t, o.Dir, "fsck", "--strict")
			last := r.commit("a", "4")
			if rev := open(t, o).mustFetch(t, third); rev.Hash != last {
				t.Errorf("then: %s", rev.Hash)
			}
		})
	}
}

// TestOldShallowLie heals a clone whose lines were believed once.
func TestOldShallowLie(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	second := r.commit("a", "2")
	o := newHTTPSServer(t, r).options(t, r)
	open(t, o).mustFetch(t, "")
	third := r.commit("a", "3")
	write(t, filepath.Join(o.Dir, "shallow"), third+"\n"+second+"\n")
	if rev := open(t, o).mustFetch(t, first); rev.Hash != third {
		t.Errorf("Fetch = %s, want %s", rev.Hash, third)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "shallow")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the lie is still recorded (%v)", err)
	}
}

// TestHeldBack has a clone hold a tip whose files a server did not send.
func TestHeldBack(t *testing.T) {
	for name, url := range map[string]func(r *repo) Options{
		"https": func(r *repo) Options { return newHTTPSServer(t, r).options(t, r) },
		"path":  func(r *repo) Options { return r.options() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.commit("a", "1")
			o := url(r)
			open(t, o).mustFetch(t, "")
			tip := r.commit("a", "2")
			r.packInto(o.Dir, tip)
			s := open(t, o)
			s.mustFetch(t, "")
			if got := s.mustRead(t, tip, "a"); got != "2" {
				t.Errorf("a = %q", got)
			}
		})
	}
}

// TestHistoryHeldBack has a clone lack an old file, which nothing needs until
// packs are joined.
func TestHistoryHeldBack(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	blob := r.git("rev-parse", "HEAD:a")
	r.commit("a", "2")
	o := r.options()
	open(t, o).mustFetch(t, "")
	whole := packFiles(t, o.Dir, "")
	objects := slices.DeleteFunc(strings.Fields(r.git("rev-list", "--objects", "--no-object-names", "HEAD")), func(h string) bool { return h == blob })
	r.packInto(o.Dir, objects...)
	remove(t, whole...)
	for i := range clone.MaxPacks + 3 {
		r.commit("b", fmt.Sprint(i))
		open(t, o).mustFetch(t, "")
	}
	runGit(t, o.Dir, "fsck", "--strict")
	if n := len(packFiles(t, o.Dir, ".pack")); n > clone.MaxPacks {
		t.Errorf("%d packs", n)
	}
}

// packInto adds a pack of some objects to a clone.
func (r *repo) packInto(dir string, objects ...string) {
	r.t.Helper()
	cmd := exec.Command("git", "pack-objects", "-q", filepath.Join(dir, "objects/pack/pack"))
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(strings.Join(objects, "\n")+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
}

// TestOlderTip serves an older tip, whatever is known of the newer one.
func TestOlderTip(t *testing.T) {
	r := newRepo(t)
	key, pub := newKey(t, "ada")
	r.signing(key)
	first := r.commit("a", "1")
	second := r.commit("a", "2")
	o := r.options()
	o.TrustedKeys = trusting(t, "", pub)
	open(t, o).mustFetch(t, "")
	r.git("update-ref", "refs/heads/main", first)
	var rewritten *RewrittenError
	for _, applied := range []string{"", first} {
		if _, err := open(t, o).Fetch(t.Context(), applied); !errors.As(err, &rewritten) || rewritten.Known != second || rewritten.Applied {
			t.Errorf("with %q applied: %v", applied, err)
		}
	}
	o.TrustedKeys = ""
	if _, err := open(t, o).Fetch(t.Context(), ""); !errors.As(err, &rewritten) {
		t.Errorf("without trusted keys and state: %v", err)
	}
	look := o
	look.Look = true
	open(t, look).mustFetch(t, first) // never applied, and so may be taken back
	removeAll(t, o.Dir)
	o.MinRevision = second
	var older *OlderError
	if _, err := open(t, o).Fetch(t.Context(), ""); !errors.As(err, &older) || !strings.Contains(err.Error(), "agent.toml") {
		t.Errorf("without a clone: %v", err)
	}
	o.AcceptRewrite = first
	if _, err := open(t, o).Fetch(t.Context(), ""); !errors.As(err, &older) {
		t.Errorf("accepted by name, below min_revision: %v", err)
	}
	o.AcceptRewrite = ""
	r.git("update-ref", "refs/heads/main", second)
	open(t, o).mustFetch(t, "")
	before := listing(t, o.Dir)
	open(t, o).mustFetch(t, "")
	if after := listing(t, o.Dir); after != before {
		t.Errorf("nothing new is written:\n%s%s", before, after)
	}
	o.MinRevision = strings.Repeat("1", 40) // what was proven was another
	if _, err := open(t, o).Fetch(t.Context(), ""); !errors.As(err, &older) {
		t.Errorf("raised since: %v", err)
	}
}

// TestLookBindsNothing looks at another branch, and goes on with the first.
func TestLookBindsNothing(t *testing.T) {
	r := newRepo(t)
	main := r.commit("a", "1")
	r.git("checkout", "-q", "-b", "side")
	side := r.commit("a", "2")
	o := r.options()
	o.Ref = "refs/heads/main"
	open(t, o).mustFetch(t, "")
	look := o
	look.Ref, look.Look = "side", true
	s := open(t, look)
	if rev := s.mustFetch(t, main); rev.Hash != side || s.mustRead(t, side, "a") != "2" {
		t.Errorf("the look found %s", rev.Hash)
	}
	open(t, o).mustFetch(t, main)
}
