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
	"regexp"

	"golang.org/x/crypto/bcrypt"
)

// DistributionOptions say what docker's own registry is to do besides.
type DistributionOptions struct {
	// User is who may read and write, with Password; anybody if it is empty.
	User, Password string
	// Notify is told of what happens, with Token; nobody if it is empty.
	Notify, Token string
}

// distributionListens is what it says once it answers.
var distributionListens = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// StartDistribution starts Debian's docker-registry, which keeps what it has in dir, and
// returns its address and what ends it.
func StartDistribution(ctx context.Context, dir string, o DistributionOptions) (addr string, stop func() error, err error) {
	config, err := o.write(dir)
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", config)
	out, err := cmd.StderrPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // which says that it was killed
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	said := bufio.NewReader(out)
	for {
		line, err := said.ReadString('\n')
		if m := distributionListens.FindStringSubmatch(line); m != nil {
			go io.Copy(io.Discard, said)
			return m[1], stop, nil
		}
		if err != nil {
			return "", nil, errors.Join(fmt.Errorf("docker-registry does not listen: %w", err), stop())
		}
	}
}

// write writes its configuration.
func (o DistributionOptions) write(dir string) (config string, err error) {
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: \"127.0.0.1:0\"}\n", filepath.Join(dir, "data"))
	if o.User != "" {
		sum, err := bcrypt.GenerateFromPassword([]byte(o.Password), bcrypt.MinCost)
		if err != nil {
			return "", err
		}
		users := filepath.Join(dir, "htpasswd")
		if err := os.WriteFile(users, []byte(o.User+":"+string(sum)+"\n"), 0o600); err != nil {
			return "", err
		}
		text += fmt.Sprintf("auth: {htpasswd: {realm: gitboot, path: %q}}\n", users)
	}
	if o.Notify != "" {
		text += fmt.Sprintf("notifications:\n  endpoints:\n    - {name: gitboot, url: %q, headers: {Authorization: [\"Bearer %s\"]}, timeout: 5s, threshold: 3, backoff: 1s}\n", o.Notify, o.Token)
	}
	config = filepath.Join(dir, "config.yml")
	return config, os.WriteFile(config, []byte(text), 0o600)
}
