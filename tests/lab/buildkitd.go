package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Buildkitd is a BuildKit daemon that is running, with Debian's runc.
type Buildkitd struct {
	// Root holds all that it writes, but for its log.
	Root string
	cmd  *exec.Cmd
	read chan error // the end of its log
}

// StartBuildkitd builds the daemon, which takes some minutes the first time,
// and starts it with its files below dir, listening at the addresses. It must
// run inside gitboot's own source tree. What it mounts and runs ends with it.
func StartBuildkitd(ctx context.Context, dir string, addresses []string, args ...string) (*Buildkitd, error) {
	binary, err := buildBuildkitd(ctx)
	if err != nil {
		return nil, fmt.Errorf("build buildkitd: %w", err)
	}
	d := &Buildkitd{Root: filepath.Join(dir, "root"), read: make(chan error, 1)}
	config := filepath.Join(dir, "buildkitd.toml") // instead of this machine's
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		return nil, err
	}
	all := []string{"unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--", binary,
		"--config", config, "--root", d.Root, "--containerd-worker=false", "--oci-worker=true",
		"--oci-worker-binary=runc", "--oci-worker-net=host"}
	for _, a := range addresses {
		all = append(all, "--addr", a)
	}
	all = append(all, args...)
	d.cmd = exec.Command(all[0], all[1:]...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	out, err := d.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	lines := bufio.NewReader(io.TeeReader(out, log))
	err = waitListening(lines, len(addresses))
	go func() {
		_, err := io.Copy(io.Discard, lines)
		d.read <- errors.Join(err, log.Close())
	}()
	if err != nil {
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("start buildkitd: %w: %s", err, tail(string(said), 2000)), d.Stop())
	}
	return d, nil
}

// waitListening reads the daemon's log until it serves all its addresses.
func waitListening(log *bufio.Reader, addresses int) error {
	for serving := 0; serving < addresses; {
		line, err := log.ReadString('\n')
		if err != nil {
			return errors.New("it ended")
		}
		if strings.Contains(line, "running server on") {
			serving++
		}
	}
	return nil
}

// Stop ends the daemon, and with it all that it runs and has mounted.
func (d *Buildkitd) Stop() error {
	err := syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	read := <-d.read
	if exit := (*exec.ExitError)(nil); !errors.As(d.cmd.Wait(), &exit) && err == nil {
		err = errors.New("stop buildkitd: it had ended before")
	}
	return errors.Join(err, read)
}

// Program builds one of gitboot's programs into dir and returns its path.
func Program(ctx context.Context, dir, name string) (string, error) {
	root, err := SourceDir(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	_, err = runEnv(ctx, append(os.Environ(), "CGO_ENABLED=0"), "go", "-C", root, "build", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./cmd/"+name)
	return path, err
}

// buildBuildkitd builds the daemon, or finds that what was built is up to date.
func buildBuildkitd(ctx context.Context) (string, error) {
	root, err := SourceDir(ctx)
	if err != nil {
		return "", err
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "buildkitd")
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	env := slices.Concat(os.Environ(), []string{"CGO_ENABLED=0", "GOWORK=off"})
	_, err = runEnv(ctx, env, "go", "-C", filepath.Join(root, "tests", "buildkitd"), "build", "-buildvcs=false", "-ldflags=-s -w",
		"-o", path, "github.com/moby/buildkit/cmd/buildkitd")
	return path, errors.Join(err, unlock())
}
