package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// An SSHServer answers each connection to a loopback address with an OpenSSH server of
// its own.
type SSHServer struct {
	Addr   string
	listen net.Listener
}

// StartSSHServer starts one with a host key and a file of keys that may log in. Its
// settings go into dir; more are lines for them. Whoever logs in has no home: Debian's bash
// reads ~/.bashrc for a command that comes by SSH, and git its settings.
func StartSSHServer(dir, hostKey, authorized string, more ...string) (*SSHServer, error) {
	sshd, err := exec.LookPath("sshd")
	if err != nil {
		return nil, err
	}
	if os.Getuid() == 0 {
		// sshd run by root insists on it; Debian makes it with the service
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "sshd_config")
	text := fmt.Sprintf("HostKey %s\nAuthorizedKeysFile %s\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nSetEnv HOME=/nonexistent\n%s\n", hostKey, authorized, strings.Join(more, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSSH(sshd, config, conn)
		}
	}()
	return &SSHServer{Addr: l.Addr().String(), listen: l}, nil
}

// Close takes no more connections.
func (s *SSHServer) Close() error { return s.listen.Close() }

func serveSSH(sshd, config string, conn net.Conn) {
	defer conn.Close()
	f, err := conn.(*net.TCPConn).File()
	if err != nil {
		return
	}
	defer f.Close()
	cmd := exec.Command(sshd, "-i", "-e", "-f", config)
	cmd.Stdin, cmd.Stdout = f, f
	_ = cmd.Run() // which side ended it shows elsewhere
}
