// Package console asks for secrets on the kernel's consoles: on those that are screens
// once there is a keyboard to type on.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// activeFile names the kernel's consoles.
const activeFile = "/sys/class/tty/console/active"

// maxLine is what a terminal hands out at a time.
const maxLine = 4096

// Ask asks a question on all consoles at once, and returns the first line that is typed
// on any, which is not shown. It is the caller's to clear. came is told the names of
// keyboards that come meanwhile, as devices have them.
func Ask(ctx context.Context, question string, came func(keyboard string)) ([]byte, error) {
	active, err := os.ReadFile(activeFile)
	if err != nil {
		return nil, fmt.Errorf("looking for consoles: %w", err)
	}
	var terminals []*os.File
	for _, name := range strings.Fields(string(active)) {
		// without waiting for a modem
		f, err := os.OpenFile("/dev/"+name, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err == nil {
			terminals = append(terminals, f)
		}
	}
	return inquiry{question: question, screen: isScreen, inputs: inputFile, came: came}.ask(ctx, terminals)
}

// An inquiry is a question that is asked on terminals.
type inquiry struct {
	question string
	// screen knows those that keyboards type on, which inputs is the list of.
	screen func(path string) bool
	inputs string
	came   func(keyboard string)
	// there are the keyboards before anything is asked.
	there []string
}

// ask asks on terminals, and closes them. None shows what is typed before any shows the
// question: whoever answers it on one may have read it on another.
func (q inquiry) ask(ctx context.Context, files []*os.File) ([]byte, error) {
	var terminals []*terminal
	var problems []error
	for _, f := range files {
		t, err := silence(f)
		if err != nil {
			problems = append(problems, fmt.Errorf("asking on %s: %w", f.Name(), err), f.Close())
			continue
		}
		terminals = append(terminals, t)
	}
	if len(files) == 0 {
		return nil, errors.New("there is no console to ask on")
	}
	q.there = keyboards(q.inputs)
	type answer struct {
		line []byte
		err  error
	}
	answers := make(chan answer, len(terminals))
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait() // until each terminal shows what is typed again
	defer cancel()
	for _, t := range terminals {
		asking.Go(func() {
			line, err := t.ask(ctx, q)
			answers <- answer{line, err}
		})
	}
	for range terminals {
		select {
		case a := <-answers:
			if a.err == nil {
				return a.line, nil
			}
			problems = append(problems, a.err)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, errors.Join(problems...)
}

// A terminal is one that does not show what is typed.
type terminal struct {
	*os.File
	was *unix.Termios
}

// silence drops what was typed before anything was asked.
func silence(f *os.File) (*terminal, error) {
	t := &terminal{File: f}
	return t, t.control(func(fd int) (err error) {
		if t.was, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
			return err
		}
		silent := *t.was
		silent.Lflag = silent.Lflag&^unix.ECHO | unix.ICANON
		return become(fd, &silent)
	})
}

// close drops what was typed since the answer, too: it may be more of a secret.
func (t *terminal) close() {
	_ = t.control(func(fd int) error { return become(fd, t.was) })
	_ = t.Close()
}

// become changes how a terminal works without waiting until all that was written is out
// (TCSETSF): nobody may be at a serial port's other end, and the question has been
// answered on another terminal.
func become(fd int, mode *unix.Termios) error {
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, mode); err != nil {
		return err
	}
	return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH)
}

// control does something with the descriptor, and leaves reads able to end.
func (t *terminal) control(do func(fd int) error) error {
	raw, err := t.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	err = raw.Control(func(fd uintptr) { done = do(int(fd)) })
	return errors.Join(err, done)
}

// last is how long the end of a line may take where nobody has answered.
const last = 100 * time.Millisecond

// ask asks, until ctx ends or somebody has answered.
func (t *terminal) ask(ctx context.Context, q inquiry) ([]byte, error) {
	defer t.close()
	// reads and writes end with their deadline
	stop := context.AfterFunc(ctx, func() { _ = t.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	put := func() error {
		_, err := t.WriteString("\r\n" + q.question)
		return err
	}
	var inviting sync.WaitGroup
	attended, end := context.WithCancel(ctx)
	defer inviting.Wait()
	defer end()
	if q.screen(t.Name()) {
		inviting.Go(func() { q.invite(attended, put) })
	} else if err := put(); err != nil {
		return nil, fmt.Errorf("asking on %s: %w", t.Name(), err)
	}
	line := make([]byte, maxLine)
	n, err := t.Read(line)
	stop()
	end()
	_ = t.SetWriteDeadline(time.Now().Add(last))
	inviting.Wait()
	_, _ = t.WriteString("\r\n")
	if err != nil {
		clear(line)
		return nil, fmt.Errorf("reading what is typed on %s: %w", t.Name(), err)
	}
	return bytes.TrimRight(line[:n], "\r\n"), nil
}
