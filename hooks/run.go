package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/hooks/check"
	"github.com/gitboot/gitboot/hooks/confine"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/program"
)

// grace is how long output may still come from something that a script left
// running where it cannot be killed.
const grace = 500 * time.Millisecond

// A run is one script being executed.
type run struct {
	hook   string
	script *kind.Script
	file   string // the script, executable
	dir    string // where it runs
	env    []string
	writes []string // directories that it may write
	// secrets are those that it may read, in files of the folder secretsDir.
	secrets    map[string][]byte
	secretsDir string
	alone      bool // without the system's network
	lines      *lines
}

// runAll executes a hook's scripts in order and collects what they wrote.
func (r *renderer) runAll(ctx context.Context, h *kind.Hook) error {
	r.runs++
	work := filepath.Join(r.work, strconv.Itoa(r.runs))
	out := filepath.Join(work, "out")
	if err := mkdirs(0o755, work, out); err != nil {
		return err
	}
	for i := range h.Run {
		if err := r.runOne(ctx, h, &h.Run[i], filepath.Join(work, strconv.Itoa(i)), out); err != nil {
			return fmt.Errorf("script %q: %w", h.Run[i].Name, err)
		}
	}
	return r.tree.Collect(ctx, h.Name, out)
}

func (r *renderer) runOne(ctx context.Context, h *kind.Hook, s *kind.Script, work, out string) error {
	if err := checkExecutable(s.Content); err != nil {
		return err
	}
	x := &run{hook: h.Name, script: s, dir: filepath.Join(work, "dir"), file: filepath.Join(work, layer.FileName(s.Name))}
	if x.file == x.dir {
		x.file += "-script"
	}
	if err := mkdirs(0o700, work, x.dir); err != nil {
		return err
	}
	if err := writeExecutable(x.file, s.Content); err != nil {
		return err
	}
	x.writes = []string{x.dir, out}
	if r.in.StateDir != "" {
		state, err := filepath.Abs(filepath.Join(r.in.StateDir, "run", layer.FileName(h.Name)))
		if err != nil {
			return err
		}
		if err := durable.MkdirAll(state, 0o700); err != nil {
			return err
		}
		x.writes = append(x.writes, state)
	}
	x.lines = newLines(r.in.log().With("hook", h.Name, "script", s.Name))
	if err := r.handSecrets(x, work); err != nil {
		return err
	}
	if err := x.environ(r.in, out); err != nil {
		return err
	}
	return x.execute(ctx)
}

// environ builds the whole environment, as the package documents it.
func (x *run) environ(in *Input, out string) error {
	x.env = []string{
		"PATH=" + program.Path,
		"HOME=" + x.dir, "TMPDIR=" + x.dir, "LANG=C.UTF-8", "SOURCE_DATE_EPOCH=0",
		"GITBOOT_OUT=" + out, "GITBOOT_MACHINE=" + in.Machine, "GITBOOT_IMAGE=" + in.Image,
		"GITBOOT_TAG=" + in.Tag, "GITBOOT_HOOK=" + x.hook,
	}
	if len(x.writes) > 2 {
		x.env = append(x.env, "GITBOOT_STATE="+x.writes[2])
	}
	if x.secretsDir != "" {
		x.env = append(x.env, "GITBOOT_SECRETS="+x.secretsDir)
	}
	for _, key := range slices.Sorted(maps.Keys(x.script.Env)) {
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.HasPrefix(key, "GITBOOT_") {
			return fmt.Errorf("environment variable %q cannot be set; names beginning with GITBOOT_ are gitboot's", key)
		}
		x.env = append(x.env, key+"="+x.script.Env[key])
	}
	return nil
}

func (x *run) execute(ctx context.Context) error {
	limit := x.script.Timeout
	if limit <= 0 {
		limit = DefaultTimeout
	}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	output, stdout, err := os.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		x.lines.readFrom(output)
	}()
	err = confine.OnThread(func() error { return x.start(timed, stdout) })
	stdout.Close()
	// Everything that holds the other end is dead, unless it escaped.
	output.SetReadDeadline(time.Now().Add(grace))
	<-read
	switch {
	case err == nil && x.alone && x.lines.hasAny(noNetwork()...):
		x.lines.log.Warn("the script said that it reached no network; " + hintNetwork)
		return nil
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("killed: %w", ctx.Err())
	case timed.Err() != nil:
		return fmt.Errorf("it did not end within %s and was killed; raise its timeout if it needs longer%s", limit, x.lines.quote())
	}
	return fmt.Errorf("%w%s", x.explain(err), x.lines.quote())
}

// start runs the script on a thread that is its own, and ends with all of the
// script's processes.
func (x *run) start(ctx context.Context, stdout *os.File) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	unix.Umask(0o022)
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL} // no terminal to type at
	if os.Geteuid() == 0 {
		c := &confine.Cell{Writes: x.writes, Script: x.file, Network: x.script.Network, SecretsDir: x.secretsDir, Secrets: x.secrets}
		defer c.End()
		if err := x.confine(ctx, c); err != nil {
			return err
		}
		if x.alone = c.Alone; c.OwnProcesses() {
			attr.Pdeathsig = 0 // the warden has it; here os/exec would take the parent for dead, which has no id in this namespace
		}
	}
	if err := confine.WriteSecrets(x.secretsDir, x.secrets); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, x.file)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = x.dir, x.env, stdout, stdout, attr
	killGroup := func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.Cancel = killGroup
	if err := cmd.Start(); err != nil {
		return err
	}
	waitUnreaped(cmd.Process.Pid)
	killErr := killGroup() // before its id is free to be another's
	if errors.Is(killErr, unix.ESRCH) {
		killErr = nil
	}
	return errors.Join(cmd.Wait(), killErr)
}

// confine limits what the calling thread, and so the script, can see and do.
func (x *run) confine(ctx context.Context, c *confine.Cell) error {
	if err := x.tolerate(c.Enter(ctx)); err != nil {
		return err
	}
	return x.tolerate(confine.Renounce())
}

// tolerate tells what is denied, and lets the script run.
func (x *run) tolerate(err error) error {
	if !errors.Is(err, confine.ErrDenied) {
		return err
	}
	x.lines.log.Warn("the script is not confined: it could change this system as root can", "error", err)
	return nil
}

func waitUnreaped(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// explain adds to an error what the user can do about it.
func (x *run) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("its interpreter %s is not on this machine: %w", check.Interpreter(x.script.Content), err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("it cannot be executed; is its interpreter executable, and is the file system of %s mounted noexec? %w", x.dir, err)
	case x.alone && x.lines.hasAny(noNetwork()...):
		return fmt.Errorf("%w; %s", err, hintNetwork)
	case x.lines.hasAny("Read-only file system"):
		return fmt.Errorf("%w; it can write below $GITBOOT_OUT and its own directory only", err)
	case os.Geteuid() == 0 && x.lines.hasAny("/run/", "/dev/"):
		return fmt.Errorf("%w; it sees nothing below /run, and of /dev what keeps nothing", err)
	}
	return err
}

const hintNetwork = "a script has no network unless it declares network = true"

// noNetwork are what programs say where there is none.
func noNetwork() []string {
	return []string{"emporary failure in name resolution", "etwork is unreachable", "ame or service not known", "nable to resolve",
		"ould not resolve", "ad address", "onnection refused", "nreachable network", "no such host"}
}

// writeExecutable writes a program in a way that no process started meanwhile
// inherits the open file, which would make executing it fail with ETXTBSY.
func writeExecutable(file string, content []byte) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(file, content, 0o700)
}

func mkdirs(mode fs.FileMode, dirs ...string) error {
	for _, dir := range dirs {
		if err := os.Mkdir(dir, mode); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil {
			return err
		}
	}
	return nil
}
