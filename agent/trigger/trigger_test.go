package trigger_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent/trigger"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// never is an interval that no test sees the end of.
const never = 1000 * time.Hour

// next is what asks for a look next.
func next(t *testing.T, looks <-chan string) string {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	select {
	case why := <-looks:
		return why
	case <-deadline.C:
		t.Fatal("nothing asks for a look")
		return ""
	}
}

// The first look is at once, the others follow by themselves, and what is not
// received is not kept.
func TestPoll(t *testing.T) {
	looks := trigger.Run(t.Context(), trigger.Options{Every: time.Millisecond})
	for range 5 {
		if why := next(t, looks); why != trigger.Poll {
			t.Errorf("asked for by %q", why)
		}
	}
	if cap(looks) != 1 {
		t.Errorf("%d looks may be asked for at once", cap(looks))
	}
}

func TestSignal(t *testing.T) {
	signals := make(chan os.Signal, 1)
	looks := trigger.Run(t.Context(), trigger.Options{Every: never, Signals: signals})
	next(t, looks)
	signals <- syscall.SIGHUP
	if why := next(t, looks); why != trigger.Signal {
		t.Errorf("asked for by %q", why)
	}
}

// git runs git in a folder.
func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "gc.auto=0"}, args...)
	if out, err := lab.Run(t.Context(), "git", args...); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func newRepo(t *testing.T) string {
	t.Helper()
	need.Program(t, "git")
	repo := filepath.Join(t.TempDir(), "fleet")
	if err := os.Mkdir(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, repo, "init", "-q", "-b", "main")
	git(t, repo, "commit", "-q", "--allow-empty", "-m", "first")
	return repo
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// Whatever gives a repo on this machine another tip asks for a look, time and
// again.
func TestWatch(t *testing.T) {
	repo := newRepo(t)
	aside := repo + ".aside"
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, repo, "worktree", "add", "-q", "-b", "side", linked)
	bare := filepath.Join(t.TempDir(), "bare.git")
	git(t, repo, "clone", "-q", "--bare", repo, bare)
	commit := func(dir string) func(*testing.T) {
		return func(t *testing.T) { git(t, dir, "commit", "-q", "--allow-empty", "-m", "more") }
	}
	push := func(t *testing.T) { // of something new, whatever was pushed before
		commit(linked)(t)
		git(t, linked, "push", "-q", bare, "side:main")
	}
	type change struct {
		what string
		do   func(*testing.T)
	}
	for where, changes := range map[string][]change{
		repo: {
			{"a commit", commit(repo)},
			{"another", commit(repo)},
			{"packed refs", func(t *testing.T) { git(t, repo, "pack-refs", "--all") }},
			{"a commit after that", commit(repo)},
			{"a branch in a new folder of refs", func(t *testing.T) { git(t, repo, "checkout", "-q", "-b", "deep/er/branch") }},
			{"a commit there", commit(repo)},
			{"a tag", func(t *testing.T) { git(t, repo, "tag", "v1") }},
			{"the folder moved away", func(t *testing.T) { move(t, repo, aside) }},
			{"and back", func(t *testing.T) { move(t, aside, repo) }},
			{"a commit after that", commit(repo)},
			{"another folder in its place", func(t *testing.T) {
				git(t, repo, "clone", "-q", repo, repo+".new")
				move(t, repo, aside)
				move(t, repo+".new", repo)
			}},
			{"a commit in that", commit(repo)},
			{"back again", func(t *testing.T) { move(t, repo, repo+".new"); move(t, aside, repo) }},
		},
		linked: {{"a commit of a linked work tree", commit(linked)}, {"another", commit(linked)}},
		bare: {
			{"a push", push},
			{"another", push},
		},
	} {
		looks := trigger.Run(t.Context(), trigger.Options{Every: never, Repo: where, Log: slog.New(slog.DiscardHandler)})
		next(t, looks) // at once
		quiet(looks)   // what is asked as soon as it is watched, unless that is one with the first
		for _, c := range changes {
			c.do(t)
			if why := next(t, looks); why != trigger.Change {
				t.Errorf("%s: asked for by %q", c.what, why)
			}
			quiet(looks)
		}
	}
}

// quiet takes what else a change has asked for: git may pause between its files.
func quiet(looks <-chan string) {
	still := time.NewTimer(400 * time.Millisecond)
	defer still.Stop()
	for {
		select {
		case <-looks:
		case <-still.C:
			return
		}
	}
}

// What changes no tip asks for nothing.
func TestWatchIgnores(t *testing.T) {
	repo := newRepo(t)
	looks := trigger.Run(t.Context(), trigger.Options{Every: never, Repo: repo, Log: slog.New(slog.DiscardHandler)})
	next(t, looks)
	quiet(looks)
	if err := os.WriteFile(filepath.Join(repo, "gitboot.toml"), []byte("edited"), 0o644); err != nil {
		t.Fatal(err)
	}
	git(t, repo, "add", "gitboot.toml")
	git(t, repo, "status", "-s")
	git(t, repo, "commit", "-q", "-m", "edited") // the first that counts
	if why := next(t, looks); why != trigger.Change {
		t.Errorf("asked for by %q", why)
	}
	select {
	case why := <-looks:
		t.Errorf("asked for twice, by %q", why)
	default:
	}
}

// A repo that is not there yet is watched for.
func TestWatchWhatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	repo := filepath.Join(dir, "fleet")
	looks := trigger.Run(t.Context(), trigger.Options{Every: never, Repo: repo, Log: slog.New(slog.DiscardHandler)})
	next(t, looks)
	quiet(looks)
	move(t, newRepo(t), repo)
	if why := next(t, looks); why != trigger.Change {
		t.Errorf("asked for by %q", why)
	}
}
