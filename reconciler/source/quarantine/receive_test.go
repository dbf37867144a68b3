package quarantine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/pack/attack"
)

const someCommit = "tree 1111111111111111111111111111111111111111\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n"

func newFiles(t testing.TB) Files {
	t.Helper()
	dir := t.TempDir()
	create := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	return Files{Pack: create("pack"), Index: create("idx"), Scratch: create("scratch")}
}

// of writes a pack to whom it is for.
func of(data []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(data); return err }
}

func tipOf(commit string, judge func([]byte) error) *pack.Tip {
	return &pack.Tip{Name: plumbing.ComputeHash(plumbing.CommitObject, []byte(commit)), Judge: judge}
}

func accept([]byte) error { return nil }

// TestAttacks receives packs in which little stands for much, and measures
// what each takes: its process's memory, its processor time, and the disk.
func TestAttacks(t *testing.T) {
	for name, c := range map[string]struct {
		data func() []byte
		want string // "" = taken
	}{
		"doubling":      {func() []byte { return attack.Doubling(someCommit, 40) }, "512 MiB"},
		"zeros":         {func() []byte { return attack.Zero(someCommit, attack.Blob, 200<<20) }, ""},
		"more zeros":    {func() []byte { return attack.Zero(someCommit, attack.Blob, 600<<20) }, "512 MiB"},
		"many":          {func() []byte { return attack.Many(someCommit, 100, 400<<20) }, "unfold to more than"},
		"a ladder":      {func() []byte { return attack.Ladder(someCommit, 40, 40<<20) }, "unfold to more than"},
		"a climb":       {func() []byte { return attack.Climb(someCommit, 4000) }, "unfold to more than"},
		"twins":         {func() []byte { return attack.Twins(someCommit, 100_000) }, ""},
		"fine":          {func() []byte { return attack.Fine(someCommit, 17<<20, 8<<20) }, "unfold to more than"},
		"huge commit":   {func() []byte { return attack.Zero(someCommit, attack.Commit, 8<<20) }, "a commit of 8 MiB"},
		"huge tag":      {func() []byte { return attack.Zero(someCommit, attack.Tag, 8<<20) }, "a tag of 8 MiB"},
		"no such count": {func() []byte { return attack.Start().Claiming(1<<32 - 1) }, "4294967295 objects"},
		"many tiny":     {func() []byte { return attack.Tiny(someCommit, 100_000) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			data, to := c.data(), newFiles(t)
			began := time.Now()
			_, state, err := receive(context.Background(), of(data), func() {}, to, tipOf(someCommit, accept))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			use := state.SysUsage().(*syscall.Rusage)
			busy := time.Duration(use.Utime.Nano() + use.Stime.Nano())
			t.Logf("%d bytes: %d MiB of memory, %v of processor time, %d MiB of disk, %v", len(data), use.Maxrss>>10, busy, onDisk(t, to)>>20, time.Since(began))
			if use.Maxrss > 256<<10 || busy > 20*time.Second || onDisk(t, to) > 2<<30 {
				t.Error("that is too much")
			}
		})
	}
}

func onDisk(t *testing.T, files Files) (sum int64) {
	for _, f := range []*os.File{files.Pack, files.Index, files.Scratch} {
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Sys().(*syscall.Stat_t).Blocks * 512
	}
	return sum
}

// TestReceived compares what is received with what git makes of it.
func TestReceived(t *testing.T) {
	data, to := attack.Tiny(someCommit, 1000), newFiles(t)
	judged := false
	got, err := Receive(context.Background(), of(data), func() {}, to, tipOf(someCommit, func(commit []byte) error {
		judged = string(commit) == someCommit
		return nil
	}))
	if err != nil || !judged || got.Objects != 1001 {
		t.Fatalf("%+v, %v, judged: %v", got, err, judged)
	}
	if written, err := os.ReadFile(to.Pack.Name()); err != nil || !bytes.Equal(written, data) {
		t.Errorf("the pack was not written as it came (%v)", err)
	}
	want := filepath.Join(t.TempDir(), "pack.idx")
	if out, err := exec.Command("git", "index-pack", "-o", want, to.Pack.Name()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	theirs, theirErr := os.ReadFile(want)
	ours, ourErr := os.ReadFile(to.Index.Name())
	if err := errors.Join(theirErr, ourErr); err != nil || !bytes.Equal(ours, theirs) {
		t.Errorf("the index is not git's (%v)", err)
	}
}

// TestRefusedTip refuses a commit while the server goes on and on.
func TestRefusedTip(t *testing.T) {
	p := attack.Start()
	p.Text(attack.Commit, someCommit)
	begin := p.Claiming(2)[:p.Len()]
	r, w := io.Pipe()
	to, refused := newFiles(t), errors.New("refused")
	_, err := Receive(context.Background(), func(to io.Writer) error {
		if _, err := to.Write(begin); err != nil {
			return err
		}
		_, err := io.Copy(to, r) // nothing comes
		return err
	}, func() { w.CloseWithError(errors.New("stopped")) }, to, tipOf(someCommit, func([]byte) error { return refused }))
	if !errors.Is(err, refused) || onDisk(t, to) > 1<<20 {
		t.Errorf("%v, with %d bytes written", err, onDisk(t, to))
	}
}

func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	_, err := Receive(ctx, func(to io.Writer) error {
		cancel()
		_, err := io.Copy(to, r)
		return err
	}, func() { w.Close() }, newFiles(t), nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestCutShort tells what broke the stream, not what came of it.
func TestCutShort(t *testing.T) {
	broken := errors.New("the line is broken")
	_, err := Receive(context.Background(), func(to io.Writer) error {
		io.WriteString(to, "PACK")
		return broken
	}, func() {}, newFiles(t), nil)
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

// probe is what the process of TestConfined is called.
const probe = "gitboot-quarantine-probe"

func init() {
	if os.Args[0] != probe {
		return
	}
	switch os.Args[1] {
	case "orphan":
		haveChild()
	case "child":
		outlive()
	default:
		tryAll()
	}
}

// haveChild starts a confined process, and waits to be killed.
func haveChild() {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Stdin, cmd.Stdout, cmd.Stderr = []string{probe, "child"}, os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	runtime.LockOSThread()
	if err := cmd.Run(); err != nil {
		os.Stdout.WriteString(err.Error())
	}
	os.Exit(1)
}

// outlive says that it is confined, and then waits for what does not come.
func outlive() {
	runtime.LockOSThread()
	if err := confine(); err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString("confined\n")
	io.Copy(io.Discard, os.Stdin)
	os.Stdout.WriteString("it outlives its parent\n")
	os.Exit(0)
}

// A process that computes for long ends with the one that asked for it, though
// becoming another user takes such a wish back.
func TestEndsWithItsParent(t *testing.T) {
	in, keep, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keep.Close()
	said, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Stdin, cmd.Stdout, cmd.Stderr = []string{probe, "orphan"}, in, out, os.Stderr
	if err := errors.Join(cmd.Start(), in.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(said)
	if line, err := lines.ReadString('\n'); line != "confined\n" {
		t.Errorf("%q (%v)", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // it was killed
	// Its end closes what it writes to. One that lives on is let go in the end.
	timer := time.AfterFunc(10*time.Second, func() { keep.Close() })
	defer timer.Stop()
	if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
		t.Errorf("%q (%v)", rest, err)
	}
}

// tryAll tries what the process shall not be able to, and prints what it is.
func tryAll() {
	if err := confine(); err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(1)
	}
	for name, try := range map[string]func() error{
		"open a file":   func() error { _, err := os.ReadFile("/etc/passwd"); return err },
		"make a file":   func() error { return os.WriteFile("made", nil, 0o600) },
		"make a socket": func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
		"execute":       func() error { return unix.Exec("/proc/self/exe", []string{"x"}, nil) },
		"fork":          func() error { _, err := os.StartProcess("/proc/self/exe", []string{"x"}, &os.ProcAttr{}); return err },
		"send a signal": func() error { return unix.Kill(os.Getppid(), 0) },
		"trace":         func() error { return unix.PtraceAttach(os.Getppid()) },
		"mount":         func() error { return unix.Mount("x", "/", "tmpfs", 0, "") },
		"see the other": func() error { _, err := os.Stat("/proc/1/root"); return err },
		"write much":    func() error { return unix.Ftruncate(3, maxFile+1) },
	} {
		if err := try(); err == nil {
			os.Stdout.WriteString("it can " + name + "\n")
		}
	}
	os.Stdout.WriteString("done\n")
	if len(os.Args) > 1 {
		_ = make([]byte, 2*maxMemory)[0]
		os.Stdout.WriteString("it can have much memory\n")
	}
	os.Exit(0)
}

func TestConfined(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Dir, cmd.ExtraFiles = []string{probe, "memory"}, t.TempDir(), []*os.File{newFiles(t).Pack}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if string(out) != "done\n" || err == nil || !strings.Contains(errs.String(), "out of memory") && !strings.Contains(errs.String(), "cannot allocate memory") {
		t.Errorf("%s (%v)\n%.300s", out, err, errs.String())
	}
}
