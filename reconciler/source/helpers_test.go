package source

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/source/treefs"
)

// A repo is a real git repo with a work tree.
type repo struct {
	t   testing.TB
	dir string
}

func newRepo(t testing.TB) *repo {
	t.Helper()
	r := &repo{t: t, dir: filepath.Join(t.TempDir(), "config")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	return r
}

// gitEnv is what git needs, and nothing of the caller's. Nothing goes on in the
// background when git ends.
func gitEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z"}
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	return runGit(r.t, r.dir, args...)
}

func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, gitEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// commit writes one file and commits everything.
func (r *repo) commit(name, content string, args ...string) string {
	r.t.Helper()
	r.write(name, content)
	return r.commitAll("set "+name, args...)
}

func (r *repo) commitAll(message string, args ...string) string {
	r.t.Helper()
	r.git("add", "-A")
	r.git(append([]string{"commit", "-q", "-m", message}, args...)...)
	return r.git("rev-parse", "HEAD")
}

// commits makes n commits at once, each of which changes one of many files.
func (r *repo) commits(n int) (tip string) {
	r.t.Helper()
	var in strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "commit refs/heads/main\nmark :%d\ncommitter Ada <ada@example.org> %d +0000\ndata 3\nset\n", i+1, 1767323045+i)
		if i > 0 {
			fmt.Fprintf(&in, "from :%d\n", i)
		}
		text := fmt.Sprintf("[machine.m%d]\nvars = { n = \"%d\" }\n", i%200, i)
		fmt.Fprintf(&in, "M 100644 inline machines/%d.toml\ndata %d\n%s\n", i%200, len(text), text)
	}
	cmd := exec.Command("git", "fast-import", "--quiet", "--force")
	cmd.Dir, cmd.Env, cmd.Stdin = r.dir, gitEnv(), strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	r.git("reset", "-q", "--hard")
	return r.git("rev-parse", "HEAD")
}

func (r *repo) options() Options {
	return Options{URL: r.dir, Dir: filepath.Join(r.t.TempDir(), "clone"), Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, o Options) *Source {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Source) mustFetch(t testing.TB, applied string) Revision {
	t.Helper()
	rev, err := s.Fetch(context.Background(), applied)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func (s *Source) mustRead(t testing.TB, hash, name string) string {
	t.Helper()
	fsys, err := s.Files(hash, "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := fsys.(*treefs.Files).ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// packFiles lists the clone's pack folder.
func packFiles(t *testing.T, dir, suffix string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, "objects", "pack", e.Name()))
		}
	}
	return paths
}
