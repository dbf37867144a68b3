package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Daemon is a program that runs in namespaces of its own for processes and
// mounts, until it is stopped.
type Daemon struct {
	// Root holds all that it writes, but for its log.
	Root string
	name string
	cmd  *exec.Cmd
	read chan error // the end of its log
}

// startDaemon starts a program, and returns when as many lines of its log as
// there are to be hold a text.
func startDaemon(root, logFile, text string, lines int, args ...string) (*Daemon, error) {
	d := &Daemon{Root: root, name: filepath.Base(args[0]), read: make(chan error, 1)}
	all := append([]string{"unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"}, args...)
	d.cmd = exec.Command(all[0], all[1:]...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	out, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	read := bufio.NewReader(io.TeeReader(out, log))
	err = waitLines(read, text, lines)
	go func() {
		_, err := io.Copy(io.Discard, read)
		d.read <- errors.Join(err, log.Close())
	}()
	if err != nil {
		said, _ := os.ReadFile(logFile)
		return nil, errors.Join(fmt.Errorf("start %s: %w: %s", d.name, err, tail(string(said), 2000)), d.Stop())
	}
	return d, nil
}

// waitLines reads a log until it has as many lines that hold a text.
func waitLines(log *bufio.Reader, text string, lines int) error {
	for found := 0; found < lines; {
		line, err := log.ReadString('\n')
		if err != nil {
			return errors.New("it ended")
		}
		if strings.Contains(line, text) {
			found++
		}
	}
	return nil
}

// Stop ends the daemon, and with it all that it runs and has mounted.
func (d *Daemon) Stop() error {
	err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	read := <-d.read
	if exit := (*exec.ExitError)(nil); !errors.As(d.cmd.Wait(), &exit) && err == nil {
		err = fmt.Errorf("stop %s: it had ended before", d.name)
	}
	return errors.Join(err, read)
}
