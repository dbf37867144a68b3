package control

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/gitboot/gitboot/agent/listen"
)

// Path is where an agent listens unless it is told otherwise.
const Path = "/run/gitboot/control.sock"

// ErrRunning says that an agent listens there already.
var ErrRunning = errors.New("another agent is running")

// Listen opens a socket that its owner and the group gitboot may use. One that
// nobody listens on any more is replaced.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, fmt.Errorf("listen on %s: %w; `gitboot status` shows what it does", path, ErrRunning)
	}
	return listen.Options{Address: "unix://" + path, Group: listen.Group}.Open()
}
