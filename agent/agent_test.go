package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/agent"
	"github.com/gitboot/gitboot/agent/control"
	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A site is an agent that runs in this process, and its config repo.
type site struct {
	*control.Client
	repo  *lab.Repo
	stage string
}

const config = `
[image.desktop]
archive = "./root.tar"
keep = 2
[hook.name.hostname]
name = "laptop-0"
[machine.laptop]
images = ["desktop"]
hooks = ["name"]
`

// start runs an agent until the test ends.
func start(t *testing.T, poll time.Duration) *site {
	t.Helper()
	need.Program(t, "tar2sqfs")
	dir := t.TempDir()
	s := &site{stage: filepath.Join(dir, "stage")}
	var err error
	if s.repo, err = lab.NewRepo(t.Context(), filepath.Join(dir, "repo")); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "root")
	if err := lab.FakeKernel(root, "6.1.0-test", true); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "tar", "-C", root, "-cf", filepath.Join(s.repo.Dir, "root.tar"), "."); err != nil {
		t.Fatal(err)
	}
	s.commit(t, config)
	init := filepath.Join(dir, "gitboot-init")
	if err := os.WriteFile(init, []byte("init"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "grub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "grub/grub.cfg"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := reconciler.New(reconciler.Config{
		Source: source.Options{URL: s.repo.Dir}, Machine: "laptop", Stage: s.stage, Boot: filepath.Join(dir, "grub"),
		Init: init, Location: &boot.Filesystem{UUID: "1111-2222", Path: "/gitboot"},
	})
	if err != nil {
		t.Fatal(err)
	}
	set := agent.Setup{Reconciler: r, Poll: poll, Socket: filepath.Join(dir, "control.sock")}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() {
		ended <- agent.Run(ctx, agent.Options{
			Load: func() (agent.Setup, error) { return set, nil }, File: filepath.Join(dir, "agent.toml"),
			Board: live.New("test", time.Now), Log: log, Now: time.Now,
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	s.Client = control.NewClient(set.Socket)
	for s.settle(t) != nil {
	}
	return s
}

func (s *site) commit(t *testing.T, text string) {
	t.Helper()
	if err := s.repo.Write("gitboot.toml", text); err != nil {
		t.Fatal(err)
	}
	if _, err := s.repo.Commit(t.Context(), "config"); err != nil {
		t.Fatal(err)
	}
}

// settle waits until nothing is left to do.
func (s *site) settle(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return s.Reconcile(ctx, control.ReconcileRequest{Wait: true})
}

// A footprint is what an agent at rest holds.
type footprint struct {
	heap                           int64
	goroutines, descriptors, files int
}

func (s *site) footprint(t *testing.T) (f footprint) {
	t.Helper()
	if err := s.settle(t); err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(s.stage, func(path string, d os.DirEntry, err error) error {
		if err == nil && !strings.Contains(path, "/repo/") && !strings.Contains(path, "/runs/") {
			files++ // the history grows; runs/ has a bound of its own
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return footprint{int64(m.HeapAlloc), runtime.NumGoroutine(), len(fds), files}
}

// growing is how many changes are followed.
const growing = 40

// However often an agent looks and changes something, at rest it holds what it held
// before.
func TestNothingGrows(t *testing.T) {
	s := start(t, time.Hour) // at rest, nothing looks
	change := func(n int) {
		s.commit(t, strings.Replace(config, "laptop-0", fmt.Sprintf("laptop-%d", n), 1))
		if err := s.settle(t); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 5 { // more than keep
		change(n + 1)
	}
	before := s.footprint(t)
	for n := range growing {
		change(n + 100)
	}
	after := s.footprint(t)
	t.Logf("%d changes: %+v, then %+v", growing, before, after)
	if after.goroutines > before.goroutines+2 || after.descriptors > before.descriptors+2 || after.files > before.files {
		t.Errorf("%+v has become %+v", before, after)
	}
	// What is remembered of events has a bound, which so few do not reach.
	if grown := after.heap - before.heap; grown > 1<<20 {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}
