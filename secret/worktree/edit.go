package worktree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/secret"
	"github.com/gitboot/gitboot/spec"
)

// ErrUnchanged says that an editor left what it was given as it was.
var ErrUnchanged = errors.New("nothing was changed")

// Edit lets an editor change what a secret says, which may be nothing yet, in a
// file in memory that is gone afterwards, however that ends. editor is a program
// and its arguments.
func Edit(ctx context.Context, s spec.Secret, plain []byte, editor []string) (changed []byte, err error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP, unix.SIGQUIT) // the terminal's end, too
	defer stop()
	dir, err := memoryDir()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, s.Name)
	if err := os.WriteFile(file, plain, 0o600); err != nil {
		return nil, err
	}
	if err := runEditor(ctx, dir, append(editor[:len(editor):len(editor)], file)); err != nil {
		return nil, fmt.Errorf("%s: %w; the secret stays as it was", strings.Join(editor, " "), err)
	}
	changed, err = readSmall(file)
	if err == nil && bytes.Equal(changed, plain) {
		secret.Wipe(changed)
		return nil, ErrUnchanged
	}
	return changed, err
}

// runEditor runs an editor on this terminal.
func runEditor(ctx context.Context, dir string, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+dir) // the user's own editor, with the user's settings
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, time.Second
	err := cmd.Run()
	return errors.Join(ctx.Err(), err)
}

// memoryDir makes a folder that no disk keeps and nobody else can enter.
func memoryDir() (string, error) {
	for _, place := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/run"} {
		var at unix.Statfs_t
		if place == "" || unix.Statfs(place, &at) != nil || at.Type != unix.TMPFS_MAGIC && at.Type != unix.RAMFS_MAGIC {
			continue
		}
		if dir, err := os.MkdirTemp(place, "gitboot-secret-"); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("there is no file system in memory to edit a secret in: set XDG_RUNTIME_DIR, mount /dev/shm, or pipe the secret into `gitboot secret encrypt`")
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadPlain(f)
}

// ReadPlain reads what is to become a secret.
func ReadPlain(r io.Reader) ([]byte, error) {
	plain := make([]byte, secret.MaxFile)
	n, err := io.ReadFull(r, plain)
	switch {
	case err == nil:
		secret.Wipe(plain)
		return nil, fmt.Errorf("it is larger than %d KiB: a secret is small", secret.MaxFile>>10)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return plain[:n:n], nil
	}
	secret.Wipe(plain)
	return nil, err
}
