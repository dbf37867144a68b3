package reconciler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A site is a reconciler with a clock that the test sets, and its config repo.
type site struct {
	*Reconciler
	repo *lab.Repo
	now  time.Time
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

func (s *site) state(t *testing.T) *state.Machine {
	t.Helper()
	doc, err := state.LoadMachine(s.Machine.Stage.Dir())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

const published = `
[image.desktop]
insecure = true
[image.desktop.build]
from = "archive:root.tar"
run = ["echo one > /etc/which"]
rootfs_fixes = false
schedule = "0 3 * * *"
push = "REF"

[machine.laptop]
images = ["desktop"]
builds = ["desktop"]
`

// A run builds, stages and publishes. What a schedule has built again, and came
// out the same, is neither staged nor published again; what fails is not, either.
func TestRun(t *testing.T) {
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	config := strings.Replace(published, "REF", registry.Addr+"/desktop:nightly", 1)
	s := newSite(t, config)
	run := func(what string, built, staged, pushed int) {
		t.Helper()
		s.now = s.now.Add(time.Minute)
		result, err := s.Run(t.Context(), Request{Trigger: "test"})
		p := result.Plan
		if err != nil || len(p.Builds) != built || len(p.Stagings) != staged || len(p.Pushes) != pushed || result.Changed != (staged+pushed > 0) || len(result.Unpublished) > 0 {
			t.Errorf("%s: %+v, changed is %t: %v", what, p, result.Changed, err)
		}
		if failed := result.Failed["desktop"] != nil; failed != (what == "a step fails") || (result.Err() != nil) != failed {
			t.Errorf("%s: failed %v", what, result.Failed)
		}
	}
	run("at first", 1, 1, 1)
	run("again", 0, 0, 0)
	s.now = s.now.Add(24 * time.Hour)
	run("the schedule is due", 1, 0, 0)
	s.commit(t, strings.Replace(config, "echo one", "exit 1; echo one", 1))
	run("a step fails", 0, 0, 0)
	s.commit(t, strings.Replace(config, "echo one", "echo two", 1))
	run("it is mended", 1, 1, 1)
	runs, err := state.Runs(s.Machine.Stage.Dir())
	var parts []string
	for _, r := range runs {
		parts = append(parts, r.Part)
	}
	if got := strings.Join(parts, " "); err != nil || strings.Count(got, "machine") != 2 || strings.Count(got, "workshop") != 4 {
		t.Errorf("the records are of %s: %v", got, err)
	}
}
