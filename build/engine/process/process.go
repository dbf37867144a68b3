// Package process runs what makes images: programs that print for long, and that
// leave nothing behind, however they end.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// A Command is a program that leaves nothing behind: as root it runs in
// namespaces of its own for processes and mounts, and with it end all its
// processes and mounts.
type Command struct {
	Args []string
	Env  []string
	Dir  string
	Log  io.Writer // what it prints to standard error, and to standard output unless that is taken
	Out  io.Writer
	// Asked programs are asked to end, and killed if they have not soon.
	Asked bool
}

// grace is how long output may still come when the program has ended, or was
// asked to.
const grace = 2 * time.Second

// Run ends with ctx, and then says so. The error of a program that fails has the
// last lines that it printed.
func (c Command) Run(ctx context.Context) error {
	args := c.Args
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		args = append([]string{"unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"}, args...)
	}
	cmd := program.Command(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr, cmd.WaitDelay = c.Env, c.Dir, attr, grace
	last := syscall.SIGKILL
	if c.Asked {
		last = syscall.SIGTERM
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, last) }
	tail := &tail{}
	cmd.Stderr = tail
	if c.Log != nil {
		cmd.Stderr = io.MultiWriter(c.Log, tail)
	}
	if cmd.Stdout = c.Out; c.Out == nil {
		cmd.Stdout = cmd.Stderr
	}
	err := program.OnThread(cmd.Run)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, exec.ErrNotFound) {
		return err
	}
	return fmt.Errorf("%w%s", err, tail)
}

// tailLines is how much of a program's output is in its error.
const tailLines = 15

// A tail remembers the last lines of what is written.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - 8<<10; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// String gives the lines indented on lines of their own, control characters
// taken out.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(t.buf, []byte("?")))), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	var b strings.Builder
	for _, line := range lines {
		line = plain.Line(line)
		if line != "" {
			b.WriteString("\n    " + line)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "; its last lines:" + b.String()
}
