package reconciler

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A site is a reconciler with a clock that the test sets, and its config repo.
type site struct {
	*Reconciler
	repo *lab.Repo
	now  time.Time
	req  Request
}

// newSite makes one whose images are built on busybox.
func newSite(t *testing.T, config string) *site {
	t.Helper()
	need.Root(t)
	need.Programs(t, "buildah", "tar2sqfs")
	busybox := need.Program(t, "busybox")
	dir := t.TempDir()
	s := &site{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if s.repo, err = lab.NewRepo(t.Context(), filepath.Join(dir, "repo")); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := lab.FakeKernel(root, "6.1.0-test", true); err != nil {
		t.Fatal(err)
	}
	script := `set -e; cd "$1"; mkdir -p bin etc tmp root var; cp "$2" bin/busybox; chmod 755 bin/busybox
for name in sh cat echo false mkdir; do ln -s busybox bin/$name; done
tar --sort=name --owner=0 --group=0 --mtime=@1000000000 -cf "$3" .`
	if _, err := lab.Run(t.Context(), "sh", "-c", script, "sh", root, busybox, filepath.Join(s.repo.Dir, "root.tar")); err != nil {
		t.Fatal(err)
	}
	s.commit(t, config)
	if err := os.MkdirAll(filepath.Join(dir, "grub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "grub/grub.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.Reconciler, err = New(Config{
		Source: source.Options{URL: s.repo.Dir}, Machine: "laptop", Stage: filepath.Join(dir, "stage"), Boot: filepath.Join(dir, "grub"),
		Init: busybox, Location: &boot.Filesystem{UUID: "1111-2222", Path: "/gitboot"}, Now: func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) commit(t *testing.T, config string) {
	t.Helper()
	if err := s.repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(t.Context(), "config"); err != nil {
		t.Fatal(err)
	}
}

// run reconciles and returns how many images were built, in vain or not.
func (s *site) run(t *testing.T) (built int, result Result) {
	t.Helper()
	before := s.logs(t)
	result, err := s.Run(t.Context(), s.req)
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range s.logs(t) {
		if !slices.Contains(before, log) {
			built++
		}
	}
	return built, result
}

func (s *site) logs(t *testing.T) []string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.Machine.Stage.Dir(), "builds/*/*.log"))
	if err != nil {
		t.Fatal(err)
	}
	return logs
}

func (s *site) state(t *testing.T) *state.Machine {
	t.Helper()
	doc, err := state.LoadMachine(s.Machine.Stage.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func (s *site) made(t *testing.T) *state.Workshop {
	t.Helper()
	doc, err := state.LoadWorkshop(s.Machine.Stage.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// A schedule rebuilds without cache, once however many times were missed, and
// what comes out the same is no new deployment.
func TestSchedule(t *testing.T) {
	s := newSite(t, `
[image.base.build]
from = "archive:root.tar"
run = ["echo base > /etc/base"]
rootfs_fixes = false

[image.desktop.build]
from = "image:base"
run = ["echo desktop > /etc/desktop; mkdir /var/log; cat /proc/uptime > /var/log/uptime"]
schedule = "0 3 * * *"
rootfs_fixes = false

[image.kiosk.build]
from = "image:base"
run = ["echo kiosk > /etc/kiosk"]
rootfs_fixes = false

[machine.laptop]
images = ["desktop", "kiosk"]
`)
	if built, result := s.run(t); built != 3 || !result.Changed || result.Err() != nil {
		t.Fatalf("%d images are built of three, two of which share their base: %v", built, result.Err())
	}
	first, staged := s.made(t), s.state(t)
	for _, c := range []struct {
		what  string
		after time.Duration
		built int
	}{
		{"before it is due", 14 * time.Hour, 0},
		{"when it is due", time.Hour, 1},
		{"after that", time.Hour, 0},
		{"after five days without power", 5 * 24 * time.Hour, 1},
		{"after that", time.Minute, 0},
		{"on the next day", 24 * time.Hour, 1},
	} {
		s.now = s.now.Add(c.after)
		built, result := s.run(t)
		if built != c.built || result.Changed || result.Err() != nil {
			t.Errorf("%s: %d images are built, changed is %t: %v", c.what, built, result.Changed, result.Err())
		}
	}
	log, err := os.ReadFile(slices.Max(s.logs(t)[:4]))
	if err != nil || strings.Contains(string(log), "Using cache") {
		t.Errorf("the cache is used: %s %v", log, err)
	}
	last := s.made(t)
	was, is := first.Builds["desktop"], last.Builds["desktop"]
	if !is.Built.Equal(s.now) || is.Digest != was.Digest || is.ID != was.ID || !is.Epoch.Equal(was.Epoch) {
		t.Errorf("what was built is %+v, and was %+v", is, was)
	}
	is.Built = was.Built
	if !last.Same(first) || !s.state(t).Same(staged) {
		t.Error("more than the time of the build changed in the state")
	}
}

const failing = `
[image.desktop.build]
from = "archive:root.tar"
run = ["RUN"]
rootfs_fixes = false

[machine.laptop]
images = ["desktop"]
`

// A build that fails is left alone by the polling reconcile for longer and
// longer, but not when what it is made from changes, and by nobody else.
func TestBackoff(t *testing.T) {
	s := newSite(t, strings.Replace(failing, "RUN", "false", 1))
	byHand := &site{Reconciler: s.Reconciler, repo: s.repo}
	s.req.Patient = true
	attempts := 0
	try := func(what string, after time.Duration, want int) {
		t.Helper()
		s.now = s.now.Add(after)
		built, result := s.run(t)
		attempts += built
		if built != want || result.Failed["desktop"] == nil {
			t.Errorf("%s: built %d times: %v", what, built, result.Err())
		}
		if f := s.made(t).Builds["desktop"].Failure; f.Attempts != attempts || f.Next.Sub(s.now) > time.Hour {
			t.Errorf("%s: the state has %+v after %d tries", what, f, attempts)
		}
	}
	try("at first", 0, 1)
	before, err := os.Stat(s.Machine.Stage.Workshop().StateFile())
	if err != nil {
		t.Fatal(err)
	}
	try("at the next poll", 30*time.Second, 0)
	if after, err := os.Stat(s.Machine.Stage.Workshop().StateFile()); err != nil || !os.SameFile(before, after) {
		t.Errorf("a poll that waits writes the state: %v", err)
	}
	try("after a minute", 30*time.Second, 1)
	try("a minute later", time.Minute, 0)
	try("after two minutes", time.Minute, 1)

	s.now = s.now.Add(time.Second)
	if built, _ := byHand.run(t); built != 1 {
		t.Errorf("who asks for a run gets %d tries", built)
	}
	attempts++
	if p, err := s.Plan(t.Context(), Request{}); err != nil || len(p.Builds) != 1 || !slices.Contains(p.Builds[0].Reasons, "it has failed 4 times") {
		t.Errorf("the plan is %+v: %v", p.Builds, err)
	}
	try("after ten minutes", 10*time.Minute, 0)
	if _, err := s.Build(t.Context(), workshop.Request{Names: []string{"desktop"}}, false); err != nil {
		t.Error(err)
	}
	attempts++
	try("after fifty minutes more", 50*time.Minute, 0)
	try("after an hour", 10*time.Minute, 1)

	s.commit(t, strings.Replace(failing, "RUN", "echo no; false", 1))
	attempts = 0
	try("another way to fail", time.Second, 1)
	s.commit(t, strings.Replace(failing, "RUN", "echo yes", 1))
	s.now = s.now.Add(time.Second)
	if built, result := s.run(t); built != 1 || result.Err() != nil || s.made(t).Builds["desktop"].Failure != nil {
		t.Errorf("mended: built %d times: %v", built, result.Err())
	}
}
