package confine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/program"
)

// wardenProgram shows the process namespace that it is the first of in /proc,
// says whether that went well, and waits. Only a process in the namespace can
// mount that.
const wardenProgram = `why=$(mount -t proc -o ro,nosuid,nodev,noexec proc /proc 2>&1); echo $? $why; read -r _`

// A warden is the first process of a script's process namespace, with which the
// kernel ends all others in it, however they hide.
type warden struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
}

// startWarden makes a process namespace, with a /proc of its own in the calling
// thread's mount namespace, and lets what the thread starts next be in it. The
// caller ends a warden that is returned, with an error or not.
func startWarden(ctx context.Context) (_ *warden, err error) {
	w := &warden{cmd: program.Command(ctx, "sh", "-c", wardenProgram)}
	w.cmd.Dir = "/"
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWPID}
	if w.stdin, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("make a process namespace for the script: %w", deniable(err))
	}
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return w, errors.Join(ctx.Err(), fmt.Errorf("ask for a /proc for the script: %w", err))
	}
	if err := w.join(); err != nil {
		return w, fmt.Errorf("enter the script's process namespace: %w", err)
	}
	return w, mounted(said)
}

// mounted judges what wardenProgram says.
func mounted(said string) error {
	status, why, _ := strings.Cut(strings.TrimSpace(said), " ")
	switch status {
	case "0":
		return nil
	case "127":
		return errors.New("mount a /proc for the script: there is no mount; install the package that has it, such as util-linux")
	}
	return fmt.Errorf("mount a /proc for the script, without which it sees all processes: %w: %s", ErrDenied, why)
}

func (w *warden) join() error {
	fd, err := unix.PidfdOpen(w.cmd.Process.Pid, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Setns(fd, unix.CLONE_NEWPID), os.NewFile(uintptr(fd), "warden").Close())
}

// end kills all of the namespace and waits until they are gone.
func (w *warden) end() {
	_ = w.cmd.Process.Kill() // it may have ended with the context
	_ = w.cmd.Wait()
}
