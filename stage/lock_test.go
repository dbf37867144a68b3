package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// bothLocks are a stage's, by name.
var bothLocks = map[string]func(*Stage, context.Context, bool) (*Lock, error){
	"stage":    (*Stage).Lock,
	"workshop": (*Stage).LockWorkshop,
}

func TestLock(t *testing.T) {
	s := newStage(t)
	for name, lock := range bothLocks {
		t.Run(name, func(t *testing.T) { testLock(t, s, name, lock) })
	}
}

func testLock(t *testing.T, s *Stage, name string, lock func(*Stage, context.Context, bool) (*Lock, error)) {
	ctx := context.Background()
	held, err := lock(s, ctx, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock(s, ctx, false)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a second lock: %v", err)
	}
	if want := fmt.Sprintf("another run holds the %s's lock (process %d)", name, os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
	tired, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := lock(s, tired, true); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	got := make(chan error)
	go func() {
		l, err := lock(s, ctx, true)
		if err == nil {
			err = l.Release()
		}
		got <- err
	}()
	for range 2 {
		if err := held.Release(); err != nil {
			t.Error(err)
		}
	}
	if err := <-got; err != nil {
		t.Errorf("a waiting lock: %v", err)
	}
}

// Who makes images keeps nobody from the machine, and the other way round.
func TestLocksAreApart(t *testing.T) {
	s := newStage(t)
	for _, lock := range bothLocks {
		l, err := lock(s, t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Release()
	}
}

// A stage of an older gitboot has no workshop, and gets one when it is wanted.
func TestAStageWithoutAWorkshopGetsOne(t *testing.T) {
	old := newStage(t)
	if err := os.RemoveAll(old.Workshop().Dir()); err != nil {
		t.Fatal(err)
	}
	s, err := Open(old.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(s.Workshop().Dir()); err == nil {
		t.Error("opening made a workshop")
	}
	results := make(chan error)
	const several = 8
	for range several {
		go func() {
			l, err := s.LockWorkshop(t.Context(), true)
			if err == nil {
				err = l.Release()
			}
			results <- err
		}()
	}
	for range several {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// readOnlyStage returns a stage on a mount that is read-only, and what tells
// whether it is.
func readOnlyStage(t *testing.T) (s *Stage, flags func() int64) {
	t.Helper()
	point := filepath.Join(t.TempDir(), "mnt")
	need.Filesystem(t, point, 32<<20, "nosuid,noexec,noatime", "mkfs.ext4", "-q")
	s = create(t, filepath.Join(point, "stage"))
	if err := unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NOATIME, ""); err != nil {
		t.Fatal(err)
	}
	return s, func() int64 {
		var st unix.Statfs_t
		if err := unix.Statfs(point, &st); err != nil {
			t.Fatal(err)
		}
		return st.Flags
	}
}

func TestLockMakesAReadOnlyStageWritable(t *testing.T) {
	s, flags := readOnlyStage(t)
	before := flags()
	for name, lock := range bothLocks {
		l, err := lock(s, context.Background(), false)
		if err != nil {
			t.Fatal(err)
		}
		addFile(t, s, "written by "+name)
		if got := flags(); got != before&^unix.ST_RDONLY {
			t.Errorf("flags %#x while locked, %#x before", got, before)
		}
		if err := l.Release(); err != nil {
			t.Fatal(err)
		}
		if got := flags(); got != before {
			t.Errorf("flags %#x after, %#x before", got, before)
		}
	}
}

func TestAReadOnlyStageWithoutAWorkshopGetsOne(t *testing.T) {
	s, flags := readOnlyStage(t)
	before := flags()
	l, err := s.Lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(s.Workshop().Dir()), l.Release()); err != nil {
		t.Fatal(err)
	}
	if l, err = s.LockWorkshop(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if got := flags(); got != before {
		t.Errorf("flags %#x after, %#x before", got, before)
	}
}

// holderOf, in the environment, makes a test's process one that holds a lock of
// the stage there: "stage DIR" or "workshop DIR".
const holderOf = "GITBOOT_TEST_HOLDER_OF"

// A holderProcess holds a lock of a stage.
type holderProcess struct {
	*exec.Cmd
	in io.Closer
}

func startHolder(t *testing.T, s *Stage, name string) *holderProcess {
	t.Helper()
	h := &holderProcess{Cmd: exec.Command(os.Args[0], "-test.run=^TestHolder$")}
	h.Env = append(os.Environ(), holderOf+"="+name+" "+s.Dir())
	h.Stderr = os.Stderr
	in, err := h.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.in = in
	out, err := h.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if said, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the other process: %v, %q", err, said)
	}
	return h
}

// release has the lock let go of.
func (h *holderProcess) release(t *testing.T) {
	t.Helper()
	h.in.Close()
	if err := h.Wait(); err != nil {
		t.Errorf("the other process: %v", err)
	}
}

// TestHolder is what the other processes of these tests run.
func TestHolder(t *testing.T) {
	name, dir, ok := strings.Cut(os.Getenv(holderOf), " ")
	if !ok {
		return
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := bothLocks[name](s, t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("held\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

// A stage stays writable until both locks are let go of, whichever of two
// processes was the first to take one, lets go first, or is killed.
func TestTheLastHolderMakesTheStageReadOnly(t *testing.T) {
	s, flags := readOnlyStage(t)
	other := map[string]string{"stage": "workshop", "workshop": "stage"}
	writable := func(want bool, when string) {
		t.Helper()
		if got := flags()&unix.ST_RDONLY == 0; got != want {
			t.Fatalf("%s: writable is %t", when, got)
		}
	}
	for mine, lock := range bothLocks {
		for _, first := range []bool{true, false} {
			for _, end := range []string{"it ends first", "it ends last", "it is killed"} {
				when := fmt.Sprintf("of %s, began first %t, and of the other process %s", mine, first, end)
				var h *holderProcess
				if !first {
					h = startHolder(t, s, other[mine])
				}
				l, err := lock(s, t.Context(), false)
				if err != nil {
					t.Fatal(err)
				}
				if first {
					h = startHolder(t, s, other[mine])
				}
				writable(true, "both, "+when)
				switch end {
				case "it ends first":
					h.release(t)
				case "it is killed":
					_, _ = h.Process.Kill(), h.Wait()
				case "it ends last":
					if err := l.Release(); err != nil {
						t.Fatal(err)
					}
					writable(true, "the other alone, "+when)
					h.release(t)
				}
				if end != "it ends last" {
					writable(true, "one alone, "+when)
					if err := l.Release(); err != nil {
						t.Fatal(err)
					}
				}
				writable(false, "none, "+when)
			}
		}
	}
}

// Whoever has a lock can write, however the others come and go.
func TestWhoeverHasALockCanWrite(t *testing.T) {
	s, flags := readOnlyStage(t)
	results := make(chan error)
	const each, times = 2, 30
	for name, lock := range bothLocks {
		for i := range each {
			go func() {
				var err error
				for range times {
					l, lerr := lock(s, t.Context(), true)
					if err = lerr; err != nil {
						break
					}
					err = os.WriteFile(filepath.Join(s.Temp(), fmt.Sprint(name, i)), nil, 0o600)
					if err = errors.Join(err, l.Release()); err != nil {
						break
					}
				}
				results <- err
			}()
		}
	}
	for range each * len(bothLocks) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if flags()&unix.ST_RDONLY == 0 {
		t.Error("the stage stays writable")
	}
}
