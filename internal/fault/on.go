//go:build faults

package fault

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

// Enabled reports whether fault points do anything in this build.
const Enabled = true

// passes counts how often each point was passed. It is the process's own
// history, which no caller could carry for it.
var (
	mu     sync.Mutex
	passes = map[string]int{}
)

// errnos are what a disk says that is full, fails, or became read-only because it
// failed.
var errnos = map[string]syscall.Errno{"enospc": syscall.ENOSPC, "eio": syscall.EIO, "erofs": syscall.EROFS}

// Point obeys GITBOOT_FAULT if it names this point.
func Point(name string) error {
	mu.Lock()
	passes[name]++
	if n := passes[name]; n > 1 {
		name = fmt.Sprintf("%s#%d", name, n)
	}
	mu.Unlock()
	if list := os.Getenv("GITBOOT_FAULT_LIST"); list != "" {
		if err := note(list, name); err != nil {
			return err
		}
	}
	action, ok := strings.CutPrefix(os.Getenv("GITBOOT_FAULT"), name+":")
	if !ok {
		return nil
	}
	if errno, ok := errnos[action]; ok {
		return fmt.Errorf("fault %s: %w", name, errno)
	}
	switch action {
	case "kill":
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {}
	case "term":
		if err := note(os.Getenv("GITBOOT_FAULT_LIST")+".term", name); err != nil {
			return err
		}
		return syscall.Kill(syscall.Getpid(), syscall.SIGTERM)
	case "int":
		return syscall.Kill(0, syscall.SIGINT)
	case "stop":
		return syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	case "error":
		return fmt.Errorf("fault %s: %w", name, errors.ErrUnsupported)
	}
	return fmt.Errorf("GITBOOT_FAULT names action %q, want kill, term, int, stop, error, enospc, eio or erofs", action)
}

func note(list, name string) error {
	f, err := os.OpenFile(list, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, name)
	return errors.Join(err, f.Close())
}
