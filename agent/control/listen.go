package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Path is where an agent listens unless it is told otherwise.
const Path = "/run/gitboot/control.sock"

// group is whose members may use the socket, besides root.
const group = "gitboot"

// ErrRunning says that an agent listens there already.
var ErrRunning = errors.New("another agent is running")

// Listen opens a socket that its owner and the group gitboot may use. One that
// nobody listens on any more is replaced.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: %w; `gitboot status` shows what it does", path, ErrRunning)
	}
	dir := filepath.Dir(path)
	_, err := os.Stat(dir)
	if made := errors.Is(err, os.ErrNotExist); made {
		err = os.MkdirAll(dir, 0o750)
		if err == nil {
			err = give(dir)
		}
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Nobody may connect before the mode is what it is to be.
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := errors.Join(give(path), os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s to the group %s: %w", path, group, err), l.Close())
	}
	return l, nil
}

// give makes a file that of the group, where there is one.
func give(path string) error {
	g, err := user.LookupGroup(group)
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return os.Chown(path, 0, gid)
}
