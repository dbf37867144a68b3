package qemu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// grace is how long output may still come when QEMU has ended.
const grace = 2 * time.Second

// Run runs a machine until it powers off or restarts itself. If ctx ends
// first, the plug is pulled, and the error is ctx's cause.
func Run(ctx context.Context, o Options) error {
	if err := Installed(o.Arch); err != nil {
		return err
	}
	b, err := boardOf(o.Arch)
	if err != nil {
		return err
	}
	args := o.command(b)
	if o.Kernel == "" {
		more, discard, err := o.boots(b)
		if err != nil {
			return err
		}
		defer discard() // a file without a name
		args = append(args, more...)
	}
	return run(ctx, o, args)
}

// boots are QEMU's options for a machine that boots by itself.
func (o Options) boots(b board) (args []string, discard func() error, err error) {
	for n, d := range o.Drives {
		drive, err := d.args(n, o.Firmware)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, drive...)
	}
	firmware, discard, err := o.Firmware.args(b, o.Temp)
	return append(firmware, args...), discard, err
}

func run(ctx context.Context, o Options, args []string) error {
	cmd := program.Command(ctx, args[0], args[1:]...)
	if o.Window {
		cmd.Env = append(cmd.Env, program.Inherited("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "HOME")...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	said := &complaint{}
	cmd.Stdout, cmd.Stderr = o.Console, said
	if o.Input != nil {
		typed, err := cmd.StdinPipe()
		if err != nil {
			return fmt.Errorf("run a virtual machine: %w", err)
		}
		go func() {
			_, _ = io.Copy(typed, o.Input) // the machine goes on without anybody who types
		}()
	}
	err := program.OnThread(cmd.Run)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrWaitDelay): // it has ended
		return nil
	case err != nil:
		return fmt.Errorf("run a virtual machine: %s: %w%s", args[0], err, said)
	}
	return nil
}

// A complaint is the beginning of what QEMU says of itself.
type complaint struct{ text []byte }

func (c *complaint) Write(p []byte) (int, error) {
	c.text = append(c.text, p[:min(len(p), 2<<10-len(c.text))]...)
	return len(p), nil
}

func (c *complaint) String() string {
	text := plain.Line(strings.TrimSpace(string(c.text)))
	if strings.Contains(text, "Parameter 'type' does not accept value 'gtk'") || strings.Contains(text, "ui-gtk") {
		text += "; Debian and Ubuntu have QEMU's windows in the package qemu-system-gui"
	}
	if text == "" {
		return ""
	}
	return ": " + text
}
