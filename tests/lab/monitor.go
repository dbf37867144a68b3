package lab

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
)

// A monitor hears from QEMU why a machine has come to its end (QEMU Machine
// Protocol): it is told to end where the machine restarts.
type monitor struct {
	listener net.Listener
	path     string
	reason   chan string
}

// newMonitor waits for QEMU at a socket.
func newMonitor(path string) (*monitor, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{listener, path, make(chan string, 1)}
	go func() { m.reason <- m.listen() }()
	return m, nil
}

func (m *monitor) args() []string {
	return []string{"-no-reboot", "-chardev", "socket,id=monitor,path=" + m.path, "-mon", "chardev=monitor,mode=control"}
}

// reset reports whether QEMU, which is gone, ended for a restart.
func (m *monitor) reset() bool {
	_ = m.listener.Close() // for a QEMU that never came
	return <-m.reason == "guest-reset"
}

// Close leaves nothing behind.
func (m *monitor) Close() {
	if err := m.listener.Close(); err == nil || errors.Is(err, net.ErrClosed) {
		_ = os.Remove(m.path)
	}
}

// listen returns the reason for which the machine ended, "" if it has said none.
func (m *monitor) listen() (reason string) {
	conn, err := m.listener.Accept()
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, `{"execute":"qmp_capabilities"}`); err != nil {
		return ""
	}
	for from := json.NewDecoder(conn); ; {
		var event struct {
			Event string
			Data  struct{ Reason string }
		}
		if err := from.Decode(&event); err != nil {
			return reason
		}
		if event.Event == "SHUTDOWN" {
			reason = event.Data.Reason
		}
	}
}
