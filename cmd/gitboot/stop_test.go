package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
)

// A standstill is a machine whose commands come to where nothing goes on:
// come tells that they are there.
type standstill struct {
	dir     string
	args    []string
	in, out *os.File        // nil: nothing, and what is looked at in the end
	come    <-chan struct{} // nil: when so
	gone    <-chan struct{} // nil, or closed when what they started has ended
	so      func(pid int) bool
}

// silent is a server that takes connections and says nothing.
func silent(t *testing.T) (addr string, come <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	there := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			there <- struct{}{}
		}
	}()
	return l.Addr().String(), there
}

// hanging is a script that tells that it runs, and then does not end, nor lets
// itself be asked to; it and its children hold a pipe, which tells when they are gone.
func hanging(t *testing.T, dir string) (script string, come, gone <-chan struct{}) {
	t.Helper()
	pipe := filepath.Join(dir, "runs")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	there, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		f, err := os.OpenFile(pipe, os.O_RDONLY, 0) // until the script opens it
		if err != nil {
			return
		}
		defer f.Close()
		there <- struct{}{}
		if _, err := io.ReadAll(f); err == nil {
			close(ended)
		}
	}()
	return "#!/bin/sh\ntrap '' TERM INT HUP\nexec 3>" + pipe + "\nwhile :; do sleep 1000; done\n", there, ended
}

// machine writes a config repo and an agent.toml.
func machine(t *testing.T, files tree, settings string) string {
	t.Helper()
	dir := t.TempDir()
	repo, err := lab.NewRepo(t.Context(), filepath.Join(dir, "repo"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := errors.Join(repo.Write(name, text), os.Chmod(filepath.Join(repo.Dir, name), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.Commit(t.Context(), "all"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(settings, "repo = ") {
		settings += fmt.Sprintf("repo = %q\n", repo.Dir)
	}
	settings += fmt.Sprintf("machine = \"m\"\nstage = %q\nboot = %q\nstage_location = \"UUID=1111-2222:/gitboot\"\ninit = %q\n",
		filepath.Join(dir, "stage"), filepath.Join(dir, "grub"), os.Args[0])
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "agent.toml"), []byte(settings), 0o600), os.Mkdir(filepath.Join(dir, "grub"), 0o755),
		os.WriteFile(filepath.Join(dir, "grub/grub.cfg"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

const booted = "[image.a]\npull = \"ghcr.io/x/y:1\"\n[machine.m]\nimages = [\"a\"]\n"

func gitServer(scheme string, args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		addr, come := silent(t)
		return standstill{dir: machine(t, tree{"gitboot.toml": booted}, fmt.Sprintf("repo = \"%s://git@%s/x.git\"\n", scheme, addr)+sshFiles(t, scheme, addr)), args: args, come: come}
	}
}

func sshFiles(t *testing.T, scheme, addr string) string {
	if scheme != "ssh" {
		return ""
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	dir := t.TempDir()
	known := fmt.Sprintf("[127.0.0.1]:%s %s", port, ssh.MarshalAuthorizedKey(host))
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "key"), pem.EncodeToMemory(block), 0o600), os.WriteFile(filepath.Join(dir, "known"), []byte(known), 0o600)); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("ssh_key_file = %q\nknown_hosts_file = %q\n", filepath.Join(dir, "key"), filepath.Join(dir, "known"))
}

func registryServer(args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		addr, come := silent(t)
		return standstill{dir: machine(t, tree{"gitboot.toml": "[image.a]\npull = \"" + addr + "/x:1\"\ninsecure = true\n[machine.m]\nimages = [\"a\"]\n"}, ""), args: args, come: come}
	}
}

func hangingHook(args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		script, come, gone := hanging(t, t.TempDir())
		return standstill{dir: machine(t, tree{"gitboot.toml": booted + "hooks = [\"h\"]\n[[hook.h.run]]\nsource = \"hang\"\n", "hang": script}, ""), args: args, come: come, gone: gone}
	}
}

func hangingBuild(args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		script, come, gone := hanging(t, t.TempDir())
		config := "[image.a.build]\nfrom = \"scratch\"\nbootstrap = [\"./hang\"]\n[machine.m]\nimages = [\"a\"]\n"
		return standstill{dir: machine(t, tree{"gitboot.toml": config, "hang": script}, fmt.Sprintf("build_dir = %q\nsocket = %q\n", t.TempDir(), filepath.Join(t.TempDir(), "control"))), args: args, come: come, gone: gone}
	}
}

func working(repo string, args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		files := nastyRepos[repo]()
		return standstill{dir: machine(t, files, ""), args: args, so: works}
	}
}

func waiting(args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		dir := machine(t, tree{"gitboot.toml": booted}, "")
		st, err := stage.Create(filepath.Join(dir, "stage"))
		if err != nil {
			t.Fatal(err)
		}
		lock, err := st.Lock(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := lock.Release(); err != nil {
				t.Error(err)
			}
		})
		return standstill{dir: dir, args: args, so: opensLock}
	}
}

// fromPipe imports what nobody writes.
func fromPipe(name string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		dir := machine(t, tree{"gitboot.toml": booted}, "")
		r, w, err := os.Pipe()
		if err = errors.Join(err, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return standstill{dir: dir, args: []string{"stage", "import", name}, in: r, so: opensLock}
	}
}

// intoPipe prints more than a pipe takes that nobody reads.
func intoPipe(args ...string) func(*testing.T) standstill {
	return func(t *testing.T) standstill {
		dir := machine(t, tree{"gitboot.toml": booted}, "")
		logs := filepath.Join(dir, "stage/builds/a")
		_, err := stage.Create(filepath.Join(dir, "stage"))
		r, w, pipeErr := os.Pipe()
		err = errors.Join(err, pipeErr, os.MkdirAll(logs, 0o700), os.WriteFile(filepath.Join(logs, "2026-01-01T00-00-00Z.log"), bytes.Repeat([]byte("line\n"), 1<<18), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		full := func(int) bool {
			n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
			return err == nil && n >= 1<<16
		}
		return standstill{dir: dir, args: args, out: w, so: full}
	}
}

var standstills = map[string]func(*testing.T) standstill{
	"plan, git over https":      gitServer("https", "plan"),
	"reconcile, git over https": gitServer("https", "reconcile", "--once"),
	"poll, git over https":      gitServer("https", "reconcile"),
	"hook list, git over https": gitServer("https", "hook", "list"),
	"image render, git":         gitServer("https", "image", "render", "a"),
	"plan, git over ssh":        gitServer("ssh", "plan"),
	"reconcile, git over ssh":   gitServer("ssh", "reconcile", "--once"),
	"poll, git over ssh":        gitServer("ssh", "reconcile"),
	"plan, registry":            registryServer("plan"),
	"reconcile, registry":       registryServer("reconcile", "--once"),
	"poll, registry":            registryServer("reconcile"),
	"hook run":                  hangingHook("hook", "run", "a"),
	"image build":               hangingBuild("image", "build", "a"),
	"agent that builds":         hangingBuild("agent"),
	"plan, large repo":          working("as many as may be", "plan"),
	"validate, large repo":      working("as many as may be", "validate", "repo"),
	"validate, many files":      working("many globs", "validate", "repo"),
	"validate, many templates":  working("templates for many", "validate", "repo"),
	"validate, variables":       working("vars", "validate", "repo"),
	"reconcile, variables":      working("vars", "reconcile", "--once"),
	"verify, for the lock":      waiting("stage", "verify", "--remove", "--wait"),
	"gc, for the lock":          waiting("stage", "gc", "--wait"),
	"set-default, for the lock": waiting("boot", "set-default", "--newest", "--wait"),
	"remove, for the lock":      waiting("stage", "remove", "a:1", "--wait"),
	"inspect, registry":         registryServer("image", "inspect", "a"),
	"import, silent input":      fromPipe("-"),
	"import, silent pipe":       fromPipe("fifo"),
	"log, to who does not read": intoPipe("image", "log", "a"),
}

// TestCommandsStop holds that every command ends within a second of being told
// to, wherever it is.
func TestCommandsStop(t *testing.T) {
	for name, begin := range standstills {
		t.Run(name, func(t *testing.T) {
			s := begin(t)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			running := s.start(ctx, t, s.args)
			if s.come != nil {
				running.comes(ctx, t, s.come)
			} else {
				running.is(ctx, t, s.so)
			}
			took := running.end(t)
			t.Logf("%s, %s", took.Round(time.Millisecond), lastLines(running.out.String()))
			if took > time.Second {
				t.Errorf("it ended %s later: %.2000s", took, running.out.String())
			}
			if s.gone != nil {
				select {
				case <-s.gone:
				case <-ctx.Done():
					t.Error("what it had started has not ended")
				}
			}
			if strings.Contains(running.out.String(), "goroutine") {
				t.Errorf("%.5000s", running.out.String())
			}
		})
	}
}

// A process is gitboot, running.
type process struct {
	*os.Process
	out  *bytes.Buffer // to be read when it has ended
	done chan struct{}
}

// comes waits until a process has come there.
func (p process) comes(ctx context.Context, t *testing.T, there <-chan struct{}) {
	t.Helper()
	select {
	case <-there:
	case <-p.done:
		t.Fatalf("it ended before it came there: %s", p.out)
	case <-ctx.Done():
		<-p.done // it ends with ctx
		t.Fatalf("it never came there: %s", p.out)
	}
}

func (s standstill) start(ctx context.Context, t *testing.T, args []string) process {
	t.Helper()
	cmd, _ := gitbootCommand(ctx, t, append(args, "--config", filepath.Join(s.dir, "agent.toml"))...)
	p := process{out: &bytes.Buffer{}, done: make(chan struct{})}
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, p.out, p.out
	if s.in != nil {
		cmd.Stdin = s.in
	}
	if s.out != nil {
		cmd.Stdout = s.out
	}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.Process = cmd.Process
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is not what is asked
	}()
	return p
}

// end tells a process to end, and how long that took.
func (p process) end(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	<-p.done
	return time.Since(began)
}

// is waits until something holds of a process, or it has ended.
func (p process) is(ctx context.Context, t *testing.T, so func(pid int) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so(p.Pid) {
		select {
		case <-tick.C:
		case <-p.done:
			return
		case <-ctx.Done():
			t.Fatal("it never came there")
		}
	}
}

// works says whether a process has used a processor for a while.
func works(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11]) // proc(5): utime and stime, in hundredths
	system, _ := strconv.Atoi(fields[12])
	return user+system > 15
}

// opensLock says whether a process has a stage's lock open.
func opensLock(pid int) bool {
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	return slices.ContainsFunc(open, func(fd string) bool {
		to, err := os.Readlink(fd)
		return err == nil && strings.HasSuffix(to, "/stage/lock")
	})
}
