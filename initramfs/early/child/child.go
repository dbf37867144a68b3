// Package child runs programs of the image within limits: no input, an end to
// their time and to what they print, and nothing left running.
package child

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Path is where programs without a slash are looked for.
const Path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// A Program is what is run.
type Program struct {
	Argv []string
	// Env is added to PATH and HOME.
	Env []string
	// Root is the folder that is / to it, "" for ours.
	Root string
	// Limit is how long it may take, Output how many bytes of what it prints are
	// kept, the first ones.
	Limit  time.Duration
	Output int
}

// Run runs the program and returns what it printed, without the last line's
// end. It has failed if its status is not 0.
func (p Program) Run(ctx context.Context) (output []byte, err error) {
	limited, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	out := &bounded{left: p.Output}
	cmd := exec.CommandContext(limited, p.Argv[0], p.Argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + Path, "HOME=/root"}, p.Env...)
	cmd.Stdout, cmd.Stderr = out, out
	// a group of its own, so that what a script left running ends with it
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: p.Root, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if err = cmd.Start(); err == nil {
		// what spares us when memory is short does not spare it
		_ = os.WriteFile("/proc/"+strconv.Itoa(cmd.Process.Pid)+"/oom_score_adj", []byte("0"), 0)
		err = cmd.Wait()
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case limited.Err() != nil:
		err = fmt.Errorf("it took longer than %v", p.Limit)
	}
	return bytes.TrimSpace(out.buf.Bytes()), err
}

// bounded keeps the beginning of what is written.
type bounded struct {
	buf  bytes.Buffer
	left int
}

func (l *bounded) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	return len(p), nil
}
