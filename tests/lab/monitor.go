package lab

import (
	"context"
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
	// conn is QEMU's, once it has come, for who has it do something; done are the
	// answers.
	conn chan net.Conn
	done chan error
}

// newMonitor waits for QEMU at a socket.
func newMonitor(path string) (*monitor, error) {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	m := &monitor{listener, path, make(chan string, 1), make(chan net.Conn, 1), make(chan error, 1)}
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

// unplug pulls out a device, and returns when it is gone.
func (m *monitor) unplug(ctx context.Context, id string) error {
	return m.do(ctx, unplugging, "device_del", map[string]string{"id": id})
}

// unplugging is what is not done when it is answered, but when the device is gone.
const unplugging = "unplug"

// do has QEMU execute a command, whose answer has an id, and returns when it is done.
func (m *monitor) do(ctx context.Context, id, command string, arguments any) error {
	var conn net.Conn
	select {
	case conn = <-m.conn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.conn <- conn }()
	err := json.NewEncoder(conn).Encode(map[string]any{"execute": command, "arguments": arguments, "id": id})
	if err != nil {
		return err
	}
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
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
	m.conn <- conn
	for from := json.NewDecoder(conn); ; {
		var said struct {
			Event, ID string
			Data      struct{ Reason string }
			Error     struct{ Desc string }
		}
		if err := from.Decode(&said); err != nil {
			return reason
		}
		switch {
		case said.Event == "SHUTDOWN":
			reason = said.Data.Reason
		case said.ID != "" && said.Error.Desc != "":
			m.done <- errors.New(said.Error.Desc)
		case said.Event == "DEVICE_DELETED", said.ID != "" && said.ID != unplugging:
			m.done <- nil
		}
	}
}
