package buildkit

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/enginetest"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/recipe/recipetest"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// startBuildkitd starts a daemon with its files below dir.
func startBuildkitd(t *testing.T, dir string, addresses []string, args ...string) {
	t.Helper()
	need.Program(t, "runc")
	daemon, err := lab.StartBuildkitd(t.Context(), dir, addresses, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := daemon.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// speaker builds the program that speaks to a builder.
func speaker(t *testing.T) string {
	t.Helper()
	program, err := lab.Program(t.Context(), t.TempDir(), "gitboot-buildkit")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// newBuildkit opens the engine with a store of the test's own.
func newBuildkit(t *testing.T, program string, builder protocol.Builder) *Engine {
	t.Helper()
	b, err := New(Options{Dir: t.TempDir(), Speaker: Speaker(program), Builder: builder})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBuildkit(t *testing.T) {
	need.Root(t)
	dir, program := t.TempDir(), speaker(t)
	socket := filepath.Join(dir, "sock")
	startBuildkitd(t, dir, []string{"unix://" + socket})
	b := newBuildkit(t, program, protocol.Builder{Address: "unix://" + socket})
	if err := b.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	enginetest.Run(t, enginetest.Tested{Engine: b, Dir: filepath.Dir(b.Dir), Folders: []string{b.Dir, dir}, Idle: func(t *testing.T) {
		enginetest.Empty(t, filepath.Join(b.Dir, protocol.IngestFolder))
	}})
	t.Run("transfers what lacks", func(t *testing.T) { testTransfers(t, program, socket) })
	t.Run("no room", func(t *testing.T) { testNoRoom(t, program, socket) })
}

// What is here is not transferred again, and what the builder has neither.
func testTransfers(t *testing.T, program, socket string) {
	wire := countBytes(t, socket)
	b := newBuildkit(t, program, protocol.Builder{Address: "unix://" + wire.path})
	base := enginetest.Busybox(t, b)
	big := recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{enginetest.Random("big", "8")}}
	parent := enginetest.Built(t, b, big, engine.Options{Base: base.ID})
	if n := wire.bytes.Swap(0); n < 8<<20 || n > 14<<20 {
		t.Errorf("%d bytes for a layer of 8 MB and a base of 2, which it may have", n)
	}
	child := recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo child > /root/child"}}
	enginetest.Built(t, b, child, engine.Options{Base: parent.ID})
	if n := wire.bytes.Swap(0); n > 1<<20 {
		t.Errorf("%d bytes for a child of a few", n)
	}
	enginetest.Built(t, b, child, engine.Options{Base: parent.ID, NoCache: true})
	if n := wire.bytes.Swap(0); n > 1<<20 {
		t.Errorf("%d bytes for the same again", n)
	}

	// An image that was lost here comes back from the builder's cache.
	if err := os.RemoveAll(b.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Image(t.Context(), parent.ID); !errors.Is(err, engine.ErrGone) {
		t.Error(err)
	}
	if _, _, err := enginetest.Build(t, b, child, engine.Options{Base: parent.ID}); !errors.Is(err, engine.ErrGone) {
		t.Errorf("built on a base that is gone: %v", err)
	}
	if base = enginetest.Busybox(t, b); enginetest.Built(t, b, big, engine.Options{Base: base.ID}).ID != parent.ID {
		t.Error("the builder's cache was not used")
	}
}

// Layers for which there is no room here are told apart from a builder's disk
// that is full, and leave nothing.
func testNoRoom(t *testing.T, program, socket string) {
	b := newBuildkit(t, program, protocol.Builder{Address: "unix://" + socket})
	if err := errors.Join(os.MkdirAll(b.Dir, 0o700), unix.Mount("tmpfs", b.Dir, "tmpfs", 0, "size=8m")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(b.Dir, 0); err != nil {
			t.Error(err)
		}
	})
	base := enginetest.Busybox(t, b)
	_, _, err := enginetest.Build(t, b, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{enginetest.Random("big", "16")}}, engine.Options{Base: base.ID})
	if full := (*engine.FullError)(nil); !errors.As(err, &full) {
		t.Errorf("%v", err)
	}
	enginetest.Empty(t, filepath.Join(b.Dir, protocol.IngestFolder))
	enginetest.Built(t, b, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo small > /root/small"}}, engine.Options{Base: base.ID})
	_, _, err = enginetest.Build(t, b, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{"echo sh: /x: No space left on device; exit 1"}}, engine.Options{Base: base.ID})
	if full := (*engine.FullError)(nil); errors.As(err, &full) {
		t.Errorf("a disk elsewhere: %v", err)
	}
}

// A wire is a unix socket on the way to another.
type wire struct {
	path  string
	bytes atomic.Int64
}

func countBytes(t *testing.T, to string) *wire {
	t.Helper()
	w := &wire{path: to + "-counted"}
	listener, err := net.Listen("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", to)
			if err != nil {
				in.Close()
				continue
			}
			go w.pump(in, out)
			go w.pump(out, in)
		}
	}()
	return w
}

func (w *wire) pump(to, from net.Conn) {
	defer to.Close()
	io.Copy(to, io.TeeReader(from, w))
}

// Write counts.
func (w *wire) Write(p []byte) (int, error) {
	w.bytes.Add(int64(len(p)))
	return len(p), nil
}

// A builder that cannot be used is named, with what to do.
func TestBuildkitUnreachable(t *testing.T) {
	need.Long(t)
	b := newBuildkit(t, speaker(t), protocol.Builder{})
	nobody := filepath.Join(t.TempDir(), "sock")
	for _, c := range []struct {
		speaker       Speaker
		address, want string
	}{
		{b.opts.Speaker, "", "no builder is known; set address in the section [buildkit] of agent.toml"},
		{b.opts.Speaker, "ssh://x", "does not begin with unix://"},
		{b.opts.Speaker, "unix://" + nobody, "dial unix " + nobody + ": connect: no such file or directory; start buildkitd there, or set another address"},
		{"gitboot-buildkit-missing", "unix://" + nobody, "make install"},
	} {
		b.opts.Speaker, b.opts.Builder.Address = c.speaker, c.address
		if err := b.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Check(ctx); err == nil {
		t.Error("cancelled, and no error")
	}
}

// A builder that goes away in the middle of a build ends it.
func TestBuildkitDies(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	address := "unix://" + filepath.Join(dir, "sock")
	b := newBuildkit(t, speaker(t), protocol.Builder{Address: address})
	daemon, err := lab.StartBuildkitd(t.Context(), dir, []string{address})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := daemon.Stop(); err != nil {
			t.Error(err)
		}
	})
	defer stop()
	base := enginetest.Busybox(t, b)
	opts := engine.Options{Base: base.ID, Epoch: enginetest.Epoch, TempDir: t.TempDir(), Log: enginetest.OnText("begun", stop), Timeout: time.Minute}
	_, err = engine.Run(t.Context(), b, enginetest.Prepare(t, recipe.Recipe{FS: recipetest.Repo(nil), Run: []string{enginetest.Hang}}), opts)
	if timeout := (*engine.TimeoutError)(nil); err == nil || errors.As(err, &timeout) {
		t.Errorf("it is not noticed: %v", err)
	}
	t.Log(err)
	enginetest.Empty(t, filepath.Join(b.Dir, protocol.IngestFolder))
	enginetest.NoneRuns(t)
}
