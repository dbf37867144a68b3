package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Bootstrap returns the path of what a bootstrap command of a config repo
// writes to its standard output, run once as gitboot runs it and kept in the
// cache. It runs in dir, whose files decide besides the command what is kept;
// "" for a command that needs none. GITBOOT_MIRROR, if it is set, is given to
// mmdebstrap.
func Bootstrap(ctx context.Context, dir string, command []string) (string, error) {
	h := sha256.New()
	if dir != "" {
		if err := hashDir(h, dir); err != nil {
			return "", err
		}
	}
	if mirror := os.Getenv("GITBOOT_MIRROR"); mirror != "" && command[0] == "mmdebstrap" {
		command = append(command[:len(command):len(command)], "-", mirror)
	}
	io.WriteString(h, strings.Join(command, "\x00"))
	name := "bootstrap-" + hex.EncodeToString(h.Sum(nil)[:6]) + ".tar"
	path, err := cached(ctx, name, func(temp string) error { return bootstrap(ctx, dir, command, temp) })
	if err != nil {
		return "", fmt.Errorf("bootstrap %q: %w", command, err)
	}
	return path, nil
}

func hashDir(h io.Writer, dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %x\n", e.Name(), sha256.Sum256(data))
		return err
	})
}

func bootstrap(ctx context.Context, dir string, command []string, to string) (err error) {
	temp, err := os.MkdirTemp(filepath.Dir(to), "bootstrap-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--"}, command...)...)
	cmd.Env = append(os.Environ(), "HOME=/root", "LANG=C.UTF-8", "TMPDIR="+temp, "SOURCE_DATE_EPOCH=1700000000")
	cmd.Dir = dir
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
