package revert

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/source/proposal"
	"github.com/gitboot/gitboot/reconciler/state"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=a@b"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// What cannot be pushed is kept and tried again when its time has come, what can be is
// pushed once, and of what no commit has brought that is said.
func TestTry(t *testing.T) {
	dir, stage := t.TempDir(), t.TempDir()
	git(t, dir, "init", "-q", "-b", "main")
	var hashes []string
	for _, text := range []string{"one", "two", "three"} {
		must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(text), 0o644))
		git(t, dir, "add", "f")
		git(t, dir, "commit", "-q", "-m", text)
		hashes = append(hashes, git(t, dir, "rev-parse", "HEAD"))
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	job := Job{Machine: "laptop", Stage: stage, Patient: true, Now: func() time.Time { return now }, Source: source.Options{URL: dir, Dir: filepath.Join(t.TempDir(), "clone")}}
	src, err := source.Open(t.Context(), job.Source)
	must(t, err)
	_, err = src.Fetch(t.Context(), "")
	must(t, err)
	bad := state.Revert{Image: "desktop", Generation: 3, Deployment: strings.Repeat("d", 64), Good: hashes[0], Bad: hashes[2], Reason: "no address", Since: now, Boot: "00000000-0000-4000-8000-000000000001"}
	record := deployment.Boot{ID: bad.Boot, Deployment: bad.Deployment, Log: "[ 1.0] Kernel command line: luks=x\n[ 2.0] eth0: down, wifi_password=hunter2\n"}
	data, err := record.Encode()
	must(t, err)
	must(t, os.Mkdir(filepath.Join(stage, deployment.BootsDir), 0o700))
	must(t, os.WriteFile(filepath.Join(stage, record.Path()), data, 0o600))

	away := filepath.Join(dir, "away")
	must(t, os.Rename(filepath.Join(dir, ".git"), away))
	changed := job.Try(t.Context(), []state.Revert{bad})
	if len(changed) != 1 || changed[0].Done() || changed[0].Failure == nil || changed[0].Failure.Attempts != 1 {
		t.Fatalf("where the repo is away it is %+v", changed)
	}
	doc := &state.Machine{Reverts: []state.Revert{bad}}
	Note(doc, changed)
	must(t, os.Rename(away, filepath.Join(dir, ".git")))
	if early := job.Try(t.Context(), state.Pending(doc.Reverts)); len(early) != 0 {
		t.Errorf("it is not waited: %+v", early)
	}
	now = now.Add(time.Hour)
	Note(doc, job.Try(t.Context(), state.Pending(doc.Reverts)))
	r := doc.Reverts[0]
	if len(state.Pending(doc.Reverts)) != 0 || r.Branch != "gitboot/revert-laptop-"+hashes[2][:12] || git(t, dir, "rev-parse", r.Branch) != r.Commit {
		t.Fatalf("it is %+v", r)
	}
	text := git(t, dir, "log", "-1", "--format=%B", r.Branch)
	for _, want := range []string{"Revert 2 commits up to " + hashes[2][:12] + ": laptop does not boot it\n\n", "    no address\n", "    " + hashes[1][:12] + " two\n", "    [ 2.0] eth0: down, wifi_password=(hidden)"} {
		if !strings.Contains(text+"\n", want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") || strings.Contains(text, "luks") {
		t.Errorf("it tells too much:\n%s", text)
	}
	same := bad
	same.Good = bad.Bad
	if got := job.Try(t.Context(), []state.Revert{same, {Deployment: "x", Bad: hashes[0]}}); len(got) != 2 || got[0].Nothing == "" || got[1].Nothing == "" {
		t.Errorf("of no commit it says %+v", got)
	}
}

// What is told of a log is bounded, plain, and no secret.
func TestMessageIsHarmless(t *testing.T) {
	log := strings.Repeat("[ 1.0] \x1b[31m"+strings.Repeat("x", 500)+"\n", 500) + "https://ada:sesame@host/x?token=abc Authorization: Bearer xyz api_key: 12\n"
	named := make([]proposal.Reverted, 20)
	text := message("laptop", state.Revert{Reason: "a\nb secret=c"}, log, named, 500)
	if len(text) > 16<<10 || strings.Contains(text, "\x1b") || !strings.Contains(text, "and 480 more") {
		t.Errorf("%d bytes: %.300q", len(text), text)
	}
	for _, secret := range []string{"sesame", "abc", "xyz", "12\n", "=c"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is told: %q", secret, text[len(text)-300:])
		}
	}
}
