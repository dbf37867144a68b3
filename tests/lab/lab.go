// Package lab holds the real parts that gitboot's tests, benchmarks and demo
// are made of: Debian root file systems, an OCI registry, git repositories,
// disks that GRUB boots, and virtual machines.
//
// Nothing in it is a stand-in. The root file systems come from mmdebstrap, the
// boot loader is installed by grub-install, the machine is QEMU with SeaBIOS or
// OVMF. What a test learns here holds on a real machine.
//
// # Needs
//
// Root, and the packages that tests/deps.sh lists. A program or test binary
// that mounts disks first calls Isolate, so that its mounts and loop devices
// vanish with it, however it ends.
//
// # Cache
//
// Root file systems take half a minute to make and are kept in CacheDir, named
// by a hash of their recipe. GITBOOT_CACHE chooses another place; the folder
// may be removed at any time.
package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isolatedEnv marks a process that Isolate has moved.
const isolatedEnv = "GITBOOT_LAB_ISOLATED"

// CacheDir returns the folder for what is worth keeping between runs, and
// makes it: $GITBOOT_CACHE, or gitboot below the user's cache folder, or
// below /var/cache where there is no home.
func CacheDir() (string, error) {
	dir := os.Getenv("GITBOOT_CACHE")
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = "/var/cache"
		}
		dir = filepath.Join(base, "gitboot")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w; set GITBOOT_CACHE to a folder that can be written", err)
	}
	return filepath.Abs(dir)
}

// Isolate moves this process into a mount namespace of its own, by executing
// it again under unshare. It returns only in the process that is isolated. Call
// it first in main or TestMain.
func Isolate() error {
	if os.Getenv(isolatedEnv) != "" {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return fmt.Errorf("%w; run tests/deps.sh test", err)
	}
	args := append([]string{"unshare", "--mount", "--propagation", "private", "--", self}, os.Args[1:]...)
	return syscall.Exec(unshare, args, append(os.Environ(), isolatedEnv+"=1"))
}

// Ready reports what stands in the way of the parts that mount and boot: not
// being root, a process that was not isolated, a tool that is missing.
func Ready() error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	if os.Getenv(isolatedEnv) == "" {
		return errors.New("this process has not called lab.Isolate")
	}
	var missing []string
	for _, tool := range []string{"tar2sqfs", "mmdebstrap", "qemu-system-x86_64", "grub-editenv", "grub-mkimage", "sfdisk", "mcopy", "mkfs.ext4", "mkfs.vfat", "losetup", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; run tests/deps.sh test", strings.Join(missing, ", "))
	}
	return nil
}

// Begin is for programs that are no tests: it isolates the process, or says what
// stands in the way of what it does, and which of make's targets to run.
func Begin(does, target string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("it %s, which needs root; run: sudo env \"PATH=$PATH\" make %s", does, target)
	}
	if err := Isolate(); err != nil {
		return err
	}
	return Ready()
}

// ErrNotRoot is returned by Ready to a process that is not root.
var ErrNotRoot = errors.New("mounting disks needs root")

// Run executes a command and returns its standard output. Its error carries
// the command and the end of what it wrote to standard error.
func Run(ctx context.Context, name string, args ...string) (string, error) {
	return runEnv(ctx, nil, name, args...)
}

func runEnv(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	return output(cmd)
}

// output runs a command, and returns what it prints.
func output(cmd *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, 5*time.Second
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, tail(stderr.String(), 2000))
	}
	return stdout.String(), nil
}

func tail(s string, n int) string {
	s = strings.TrimSpace(s)
	if len(s) > n {
		s = "…" + s[len(s)-n:]
	}
	return s
}

// lock takes an exclusive lock on path, waiting for whoever holds it, and
// returns the function that releases it.
func lock(ctx context.Context, path string) (func() error, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	go func() { done <- flock(f) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		// The goroutine ends when the lock's holder does.
		go func() { <-done; f.Close() }()
		return nil, fmt.Errorf("wait for %s: %w", path, ctx.Err())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
