package listen

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// maxSocketPath is what sockaddr_un holds, less the folder and name under which
// the socket is made.
const maxSocketPath = 107 - len("/.12345678901/s")

// openSocket makes a socket that nobody outside the group may connect to, at no
// time: it gets its mode in a folder that is root's alone, and then its name. One
// that a process left behind is replaced.
func openSocket(path, group string) (_ net.Listener, err error) {
	fail := func(err error) (net.Listener, error) { return nil, fmt.Errorf("listen on %s: %w", path, err) }
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		return fail(errors.New("something else is there; move it away, or choose another place"))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".")
	if err != nil {
		return fail(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(private)) }()
	unnamed := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: unnamed, Net: "unix"})
	if err != nil {
		return fail(err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(admit(unnamed, group), os.Rename(unnamed, path)); err != nil {
		return fail(errors.Join(err, l.Close()))
	}
	return &socket{l, path}, nil
}

// admit gives a socket its mode, and its group if there is one of that name.
func admit(path, group string) error {
	if err := os.Chmod(path, 0o600); err != nil || group == "" {
		return err
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return nil // nobody is in it
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return err
	}
	return errors.Join(os.Chown(path, -1, id), os.Chmod(path, 0o660))
}

// A socket is removed when it is closed.
type socket struct {
	net.Listener
	path string
}

func (s *socket) Close() error {
	return errors.Join(os.Remove(s.path), s.Listener.Close())
}
