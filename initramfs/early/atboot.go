package early

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

const (
	// atBootLimit is for each script.
	atBootLimit  = 2 * time.Minute
	atBootOutput = 16 << 10
)

// runAtBoot runs the hooks' scripts in the new root, in order. One that fails
// fails the boot: what it should have set right isn't.
func (b *boot) runAtBoot() error {
	for _, script := range b.manifest.AtBoot {
		if err := b.runScript(script); err != nil {
			return fmt.Errorf("running %s in the new root: %w", script, err)
		}
	}
	return nil
}

func (b *boot) runScript(script string) error {
	ctx, cancel := context.WithTimeout(context.Background(), atBootLimit)
	defer cancel()
	out := &limited{left: atBootOutput}
	cmd := exec.CommandContext(ctx, script)
	cmd.Dir = "/"
	cmd.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"GITBOOT_IMAGE=" + b.manifest.Image,
		"GITBOOT_DEPLOYMENT=" + b.cmd.Deployment,
	}
	cmd.Stdout, cmd.Stderr = out, out
	// a group of its own, so that what a script left running ends with it
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: newRoot, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if text := bytes.TrimSpace(out.buf.Bytes()); len(text) > 0 {
		b.log.info("%s: %s", script, bytes.ReplaceAll(text, []byte("\n"), []byte("\n"+script+": ")))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("it took longer than %v", atBootLimit)
	}
	return err
}

// limited keeps the beginning of what is written.
type limited struct {
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.buf.Write(p[:n])
	l.left -= n
	return len(p), nil
}
