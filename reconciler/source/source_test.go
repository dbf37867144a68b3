package source

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/source/clone"
)

// follow is what every kind of remote must do: show the tip, fetch it, fetch
// a second commit, and hand out the files of both.
func follow(t *testing.T, r *repo, o Options) {
	t.Helper()
	ctx := context.Background()
	first := r.commit("gitboot.toml", "one\n")
	s := open(t, o)
	if got, err := s.Remote(ctx); err != nil || got != first {
		t.Fatalf("Remote = %q, %v, want %s", got, err, first)
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("Remote made the clone (%v)", err)
	}
	rev := s.mustFetch(t, "")
	want := Revision{Hash: first, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Subject: "set gitboot.toml", Author: "Ada"}
	if rev != want {
		t.Fatalf("Fetch = %+v, want %+v", rev, want)
	}
	second := r.commit("gitboot.toml", "two\n")
	s = open(t, o)
	if rev := s.mustFetch(t, first); rev.Hash != second {
		t.Fatalf("second Fetch = %s, want %s", rev.Hash, second)
	}
	for hash, want := range map[string]string{first: "one\n", second: "two\n"} {
		if got := s.mustRead(t, hash, "gitboot.toml"); got != want {
			t.Errorf("gitboot.toml at %s = %q, want %q", hash, got, want)
		}
	}
	runGit(t, o.Dir, "fsck", "--strict")
	if n := len(packFiles(t, o.Dir, ".pack")); n != 2 {
		t.Errorf("%d packs, want one for each fetch", n)
	}
}

func TestFollowPath(t *testing.T) {
	r := newRepo(t)
	follow(t, r, r.options())
}

func TestFollowFileURL(t *testing.T) {
	r := newRepo(t)
	o := r.options()
	o.URL = "file://" + r.dir
	follow(t, r, o)
}

// TestFollowLayouts reads the ways in which git lays out a local repo.
func TestFollowLayouts(t *testing.T) {
	for name, args := range map[string][]string{
		"bare":     {"clone", "-q", "--bare"},
		"shared":   {"clone", "-q", "--shared"},
		"packed":   {"clone", "-q", "--bare", "--no-local"},
		"linked":   {"worktree", "add", "-q", "--detach"},
		"depth 1":  {"clone", "-q", "--depth=1", "--no-local"},
		"mirrored": {"clone", "-q", "--mirror"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			first := r.commit("a", "1")
			r.commit("a", "2")
			tip := r.commit("b/c", "2")
			dir := filepath.Join(t.TempDir(), "other")
			if name != "linked" {
				args = append(args, "file://"+r.dir)
				if name == "shared" {
					args[len(args)-1] = r.dir
				}
			}
			r.git(append(args, dir)...)
			o := r.options()
			o.URL = dir
			s := open(t, o)
			if rev := s.mustFetch(t, ""); rev.Hash != tip {
				t.Fatalf("Fetch = %s, want %s", rev.Hash, tip)
			}
			s.mustRead(t, tip, "b/c")
			runGit(t, o.Dir, "fsck", "--strict")
			if _, err := s.Fetch(context.Background(), first); (err != nil) != (name == "depth 1") {
				t.Errorf("with the first commit applied: %v", err)
			}
		})
	}
}

func TestBranches(t *testing.T) {
	r := newRepo(t)
	ctx := context.Background()
	o := r.options()
	var empty *EmptyError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &empty) {
		t.Errorf("empty repo: %v", err)
	}
	main := r.commit("a", "1")
	r.git("checkout", "-q", "-b", "site/lab")
	lab := r.commit("a", "2")
	for branch, want := range map[string]string{"": lab, "main": main, "site/lab": lab} {
		o.Ref = branch
		if got, err := open(t, o).Remote(ctx); err != nil || got != want {
			t.Errorf("branch %q: %s, %v; want %s", branch, got, err, want)
		}
	}
	r.git("pack-refs", "--all")
	o.Ref = "refs/heads/main"
	if got, err := open(t, o).Remote(ctx); err != nil || got != main {
		t.Errorf("packed: %s, %v", got, err)
	}
	o.Ref = "refs/heads/mian"
	var none *NoRefError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &none) || !slices.Equal(none.There, []string{"main", "site/lab"}) {
		t.Errorf("missing branch: %v", err)
	}
	r.git("symbolic-ref", "HEAD", "refs/heads/gone")
	o.Ref = ""
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &none) || !strings.Contains(err.Error(), "its HEAD names") {
		t.Errorf("HEAD without a branch: %v", err)
	}
}

func TestRewritten(t *testing.T) {
	r := newRepo(t)
	ctx := context.Background()
	first := r.commit("a", "1")
	second := r.commit("a", "2")
	o := r.options()
	s := open(t, o)
	s.mustFetch(t, first)

	r.git("reset", "-q", "--hard", first)
	tip := r.commit("a", "3")
	s = open(t, o)
	var rewritten *RewrittenError
	for range 2 {
		if _, err := s.Fetch(ctx, second); !errors.As(err, &rewritten) || rewritten.Tip != tip || rewritten.Known != second {
			t.Fatalf("rewritten history: %v", err)
		}
	}
	if s.clone.Head().String() != second {
		t.Errorf("the refused tip became the clone's HEAD")
	}
	o.AcceptRewrite = first
	if _, err := open(t, o).Fetch(ctx, second); !errors.As(err, &rewritten) {
		t.Errorf("another commit accepted: %v", err)
	}
	if !strings.Contains(rewritten.Error(), "--accept-rewrite "+tip) {
		t.Errorf("no remedy in %q", rewritten)
	}
	o.AcceptRewrite = tip
	open(t, o).mustFetch(t, second)
	o.AcceptRewrite = ""
	open(t, o).mustFetch(t, tip)

	// a clone made anew must not forget
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, o).Fetch(ctx, second); !errors.As(err, &rewritten) {
		t.Errorf("with a new clone: %v", err)
	}
}

func TestMergedHistory(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	r.git("checkout", "-q", "-b", "side")
	side := r.commit("b", "1")
	r.git("checkout", "-q", "main")
	r.commit("a", "2")
	r.git("merge", "-q", "--no-edit", "side")
	open(t, r.options()).mustFetch(t, side)
}

// TestCompact fetches often, and expects few packs and a whole history.
func TestCompact(t *testing.T) {
	r := newRepo(t)
	o := r.options()
	applied := r.commit("n", "0")
	first := applied
	s := open(t, o)
	for i := range clone.MaxPacks + 2 {
		applied = s.mustFetch(t, applied).Hash
		r.commit("n", fmt.Sprint(i+1))
	}
	if n := len(packFiles(t, o.Dir, ".pack")); n > clone.MaxPacks {
		t.Errorf("%d packs", n)
	}
	runGit(t, o.Dir, "fsck", "--strict", "--full")
	s = open(t, o)
	s.mustFetch(t, first)
	if got := s.mustRead(t, first, "n"); got != "0" {
		t.Errorf("first commit's file = %q", got)
	}
}

// TestLooksAreCompacted looks often at what is never followed, and expects few packs, of
// what is new alone, and what was followed beside what was looked at.
func TestLooksAreCompacted(t *testing.T) {
	r := newRepo(t)
	o := r.options()
	random := make([]byte, 1<<20)
	if _, err := rand.NewChaCha8([32]byte{}).Read(random); err != nil {
		t.Fatal(err)
	}
	applied := r.commit("n", string(random))
	open(t, o).mustFetch(t, "")
	o.Look = true
	for i := range 2 * clone.MaxPacks {
		tip := r.commit("n", fmt.Sprint(i))
		s := open(t, o)
		s.mustFetch(t, applied)
		if got := s.mustRead(t, tip, "n"); got != fmt.Sprint(i) {
			t.Fatalf("look %d reads %q", i, got)
		}
	}
	packs := packFiles(t, o.Dir, ".pack")
	var size int64
	for _, path := range packs {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if len(packs) > clone.MaxPacks || size > 2*int64(len(random)) {
		t.Errorf("%d packs of %d bytes", len(packs), size)
	}
	runGit(t, o.Dir, "fsck", "--strict", "--full")
	if got := open(t, o).mustRead(t, applied, "n"); got != string(random) {
		t.Errorf("what was followed is not there any more: %d bytes", len(got))
	}
}

func TestRefusedURLs(t *testing.T) {
	for _, url := range []string{"", "http://example.org/x", "git://example.org/x", "ext::sh -c id", "https://user:secret@example.org/x",
		"ssh://git@example.org/x", "git@example.org:x", "ssh://git:secret@example.org/x", "file://host/x", "https:///x"} {
		_, err := Open(context.Background(), Options{URL: url, Dir: filepath.Join(t.TempDir(), "c")})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestRefusedBranches(t *testing.T) {
	for _, branch := range []string{"../../etc/passwd", "a..b", "/x", "x.lock", "a b", "-x/\x00"} {
		if _, err := Open(context.Background(), Options{URL: "/", Ref: branch, Dir: filepath.Join(t.TempDir(), "c")}); err == nil {
			t.Errorf("branch %q accepted", branch)
		}
	}
}

// TestUnsupportedFormats names what cannot be read, and what to do.
func TestUnsupportedFormats(t *testing.T) {
	for key, value := range map[string]string{"extensions.objectformat": "sha256", "extensions.refstorage": "reftable"} {
		r := newRepo(t)
		r.commit("a", "1")
		r.git("config", key, value)
		if _, err := open(t, r.options()).Remote(context.Background()); err == nil || !strings.Contains(err.Error(), value) {
			t.Errorf("%s = %s: %v", key, value, err)
		}
	}
}

func TestUnreachablePath(t *testing.T) {
	var wrong *UnreachableError
	for dir, want := range map[string]string{
		t.TempDir():         ": it is not a git repo (make it one with git init, and commit); name the folder of a git repo, or a URL",
		"/nonexistent/repo": ": stat /nonexistent/repo: no such file or directory; name the folder of a git repo, or a URL",
	} {
		s := open(t, Options{URL: dir, Dir: filepath.Join(t.TempDir(), "c")})
		if _, err := s.Remote(context.Background()); !errors.As(err, &wrong) || !wrong.Path || err.Error() != "reading the config repo "+dir+want {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	o := r.options()
	o.Dir = r.dir
	if _, err := Open(context.Background(), o); err == nil || !strings.Contains(err.Error(), "not a clone made by gitboot") {
		t.Errorf("the user's own repo as clone: %v", err)
	}
}
