package source

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUncommitted compares the count with that of git status.
func TestUncommitted(t *testing.T) {
	r := newRepo(t)
	r.write(".gitignore", "*.log\nbuilt/\n")
	r.write("a/b.toml", "1\n")
	r.write("a/c.toml", "1\n")
	r.write("d", "1\n")
	if err := os.Symlink("d", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	tip := r.commitAll("first")
	s := open(t, r.options())
	s.mustFetch(t, "")
	path := func(name string) string { return filepath.Join(r.dir, name) }
	count := func(want int, why string) {
		t.Helper()
		got, err := s.Uncommitted(context.Background(), tip)
		if err != nil || got != want {
			t.Errorf("%s: %d files differ, %v; want %d", why, got, err, want)
		}
		lines := 0
		if status := r.git("status", "--porcelain", "--untracked-files=all", "--no-renames"); status != "" {
			lines = len(strings.Split(status, "\n"))
		}
		if lines != got {
			t.Errorf("%s: git counts %d", why, lines)
		}
	}
	count(0, "clean")
	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(path("d"), now, now); err != nil {
		t.Fatal(err)
	}
	count(0, "touched")
	r.write("x.log", "ignored")
	r.write("built/y", "ignored")
	count(0, "ignored")
	r.write("a/b.toml", "2\n") // of the same size
	count(1, "changed")
	r.git("add", "-A")
	count(1, "staged")
	r.write("new/e/f.toml", "1\n")
	r.write("new/g", "1\n")
	count(3, "new")
	if err := os.Remove(path("d")); err != nil {
		t.Fatal(err)
	}
	count(4, "removed")
	if err := os.Chmod(path("a/c.toml"), 0o755); err != nil {
		t.Fatal(err)
	}
	count(5, "made executable")
	r.write("d/x", "1\n")
	count(6, "a folder in a file's place")
	if err := os.RemoveAll(path("a")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("new", path("a")); err != nil {
		t.Fatal(err)
	}
	count(7, "a link in a folder's place")
	r.git("rm", "-q", "--cached", "link")
	if got, err := s.Uncommitted(context.Background(), tip); err != nil || got != 8 {
		t.Errorf("taken out of the index: %d, %v", got, err)
	}
	r.git("checkout", "-q", "--orphan", "other")
	if got, err := s.Uncommitted(context.Background(), tip); err != nil || got != 0 {
		t.Errorf("another branch is checked out: %d, %v", got, err)
	}
}

// TestUncommittedSubmodule leaves what is in a submodule to its own repo.
func TestUncommittedSubmodule(t *testing.T) {
	inner, r := newRepo(t), newRepo(t)
	inner.commit("x", "1")
	r.commit("a", "1")
	r.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.dir, "sub")
	tip := r.commitAll("with a submodule")
	s := open(t, r.options())
	s.mustFetch(t, "")
	for _, want := range []int{0, 1} {
		if n, err := s.Uncommitted(t.Context(), tip); err != nil || n != want {
			t.Errorf("%d files differ, %v; want %d", n, err, want)
		}
		r.write("b", "1")
	}
}

// TestUncommittedElsewhere asks where there is no work tree to compare.
func TestUncommittedElsewhere(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	bare := filepath.Join(t.TempDir(), "bare")
	r.git("clone", "-q", "--bare", r.dir, bare)
	local, remote := r.options(), newHTTPSServer(t, r).options(t, r)
	local.URL = bare
	for _, o := range []Options{local, remote} {
		s := open(t, o)
		s.mustFetch(t, "")
		if n, err := s.Uncommitted(context.Background(), tip); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", o.URL, n, err)
		}
	}
}

func BenchmarkUncommitted(b *testing.B) {
	_, o, tip := benchRepo(b)
	s := open(b, o)
	for b.Loop() {
		if n, err := s.Uncommitted(context.Background(), tip); n != 0 || err != nil {
			b.Fatal(n, err)
		}
	}
}
