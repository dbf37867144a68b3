package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Bootstrap returns the path of what a bootstrap command of a config repo
// writes to its standard output, run once as gitboot runs it and kept in the
// cache. GITBOOT_MIRROR, if it is set, is given to mmdebstrap.
func Bootstrap(ctx context.Context, command []string) (string, error) {
	if mirror := os.Getenv("GITBOOT_MIRROR"); mirror != "" && command[0] == "mmdebstrap" {
		command = append(command[:len(command):len(command)], "-", mirror)
	}
	sum := sha256.Sum256([]byte(strings.Join(command, "\x00")))
	path, err := cached(ctx, "bootstrap-"+hex.EncodeToString(sum[:6])+".tar", func(temp string) error { return bootstrap(ctx, command, temp) })
	if err != nil {
		return "", fmt.Errorf("bootstrap %q: %w", command, err)
	}
	return path, nil
}

func bootstrap(ctx context.Context, command []string, to string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"}, command...)...)
	cmd.Env = append(os.Environ(), "HOME=/root", "LANG=C.UTF-8", "TMPDIR="+filepath.Dir(to), "SOURCE_DATE_EPOCH=1700000000")
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = out, &log
	if err := errors.Join(cmd.Run(), out.Close()); err != nil {
		return fmt.Errorf("%w; it needs its distribution's mirror: %s", err, tail(log.String(), 2000))
	}
	return nil
}

// cached returns the path of a file in the cache, which make writes if it is
// not there. The file is published only when it is complete.
func cached(ctx context.Context, name string, make func(temp string) error) (string, error) {
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return "", err
	}
	if _, err = os.Stat(path); errors.Is(err, os.ErrNotExist) {
		temp := path + ".tmp"
		if err = make(temp); err == nil {
			err = os.Rename(temp, path)
		}
		os.Remove(temp)
	}
	return path, errors.Join(err, unlock())
}
