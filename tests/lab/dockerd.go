package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// StartDockerd starts Debian's docker daemon with its files below dir, listening
// at a unix socket. It has no network of its own and changes nothing of this
// machine's. What it mounts and runs ends with it.
func StartDockerd(dir, socket string) (*Daemon, error) {
	if _, err := exec.LookPath("dockerd"); err != nil {
		return nil, fmt.Errorf("start dockerd: %w; run tests/deps.sh test", err)
	}
	config := filepath.Join(dir, "daemon.json") // instead of this machine's
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		return nil, err
	}
	root := filepath.Join(dir, "root")
	return startDaemon(root, filepath.Join(dir, "log"), "API listen on", 1, "dockerd", "--config-file", config, "--host", "unix://"+socket,
		"--data-root", root, "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"),
		"--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none")
}
