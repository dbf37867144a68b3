package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler/event"
)

const (
	// commandTime bounds a command, and grace how long its output may still come
	// when it has ended.
	commandTime = 30 * time.Second
	grace       = time.Second
	// maxOutput bounds what is kept of what a command prints.
	maxOutput = 4 << 10
)

// command runs the command with an event on its input.
func (o Options) command(ctx context.Context, e event.Event) error {
	input, err := json.Marshal(told{e, e.Message()})
	if err != nil {
		return err
	}
	out, err := run(ctx, nil, append(input, '\n'), o.Command[0], o.Command[1:]...)
	if err != nil {
		return fmt.Errorf("run %s: %w%s", o.Command[0], err, after(out))
	}
	if out != "" && o.Print != nil {
		o.Print(out)
	}
	return nil
}

func after(out string) string {
	if out == "" {
		return ""
	}
	return ": " + out
}

// run runs a program, as somebody else if as is set, for a bounded time. With it
// end the processes that it has started. What it prints is returned as a line.
func run(ctx context.Context, as *syscall.Credential, input []byte, name string, args ...string) (string, error) {
	ctx, stop := context.WithTimeoutCause(ctx, commandTime, fmt.Errorf("it was ended after %s", commandTime))
	defer stop()
	var out output
	cmd := program.Command(ctx, name, args...)
	cmd.Dir, cmd.WaitDelay = "/", grace
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	group := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = group
	if err := cmd.Start(); err != nil {
		return "", err
	}
	err := cmd.Wait()
	_ = group() // what it left behind
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it has ended, and what it left behind does, too
	}
	return plain.Line(strings.TrimSpace(strings.ReplaceAll(string(out.begins), "\n", " "))), err
}

// output keeps the beginning of what is printed.
type output struct{ begins []byte }

func (o *output) Write(p []byte) (int, error) {
	o.begins = append(o.begins, p[:min(len(p), maxOutput-len(o.begins))]...)
	return len(p), nil
}
