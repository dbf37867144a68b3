// Package console asks for secrets on the kernel's consoles.
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
// on any, which is not shown. It is the caller's to clear.
func Ask(ctx context.Context, question string) ([]byte, error) {
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
	return ask(ctx, question, terminals)
}

// ask asks on terminals, and closes them.
func ask(ctx context.Context, question string, terminals []*os.File) ([]byte, error) {
	if len(terminals) == 0 {
		return nil, errors.New("there is no console to ask on")
	}
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
			line, err := askOn(ctx, t, question)
			answers <- answer{line, err}
		})
	}
	var problems []error
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

// askOn asks on one terminal, without showing what is typed.
func askOn(ctx context.Context, t *os.File, question string) ([]byte, error) {
	defer t.Close()
	raw, err := t.SyscallConn()
	if err != nil {
		return nil, err
	}
	var was *unix.Termios
	set := func(mode *unix.Termios) error {
		var serr error
		err := raw.Control(func(fd uintptr) {
			if mode == nil {
				if was, serr = unix.IoctlGetTermios(int(fd), unix.TCGETS); serr != nil {
					return
				}
				silent := *was
				silent.Lflag = silent.Lflag&^unix.ECHO | unix.ICANON
				mode = &silent
			}
			serr = unix.IoctlSetTermios(int(fd), unix.TCSETSF, mode)
		})
		return errors.Join(err, serr)
	}
	if err := set(nil); err != nil {
		return nil, fmt.Errorf("asking on %s: %w", t.Name(), err)
	}
	defer func() { _ = set(was) }()
	if _, err := t.WriteString("\r\n" + question); err != nil {
		return nil, fmt.Errorf("asking on %s: %w", t.Name(), err)
	}
	defer func() { _, _ = t.WriteString("\r\n") }()
	// a read ends with its deadline
	stop := context.AfterFunc(ctx, func() { _ = t.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line := make([]byte, maxLine)
	n, err := t.Read(line)
	if err != nil {
		clear(line)
		return nil, fmt.Errorf("reading what is typed on %s: %w", t.Name(), err)
	}
	return bytes.TrimRight(line[:n], "\r\n"), nil
}
