// Package confine limits what a script of root's can see and do, by namespaces,
// mounts and capabilities that the thread which starts it takes on.
package confine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrDenied is what a kernel that is old or small, or a container, says. A script
// then runs all the same, and the log says what it could do.
var ErrDenied = errors.New("this kernel or container denies it")

func deniable(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

// A Cell is what a script of root's may see and touch.
type Cell struct {
	Writes  []string // folders that it may write
	Script  string   // the script itself
	Network bool
	// SecretsDir, if it is not "", becomes a file system in memory, which none but
	// the script sees, with a file for each of Secrets.
	SecretsDir string
	Secrets    map[string][]byte

	// Alone says, when it has been entered, that it has no network but its own.
	Alone  bool
	warden *warden // of its process namespace, if it has one
}

// Enter puts the calling thread, and so what it starts, into the cell.
func (c *Cell) Enter(ctx context.Context) error {
	if err := c.readOnly(); err != nil {
		return fmt.Errorf("make the file system read-only for the script: %w", err)
	}
	if err := c.showSecrets(); err != nil {
		return fmt.Errorf("give the script its secrets: %w", err)
	}
	services := sockets() // while the thread is in the network namespace that they are in
	if err := c.separate(); err != nil {
		return fmt.Errorf("give the script a network and an IPC namespace: %w", err)
	}
	if err := c.hide(services); err != nil {
		return fmt.Errorf("hide devices and services from the script: %w", err)
	}
	var err error
	c.warden, err = startWarden(ctx)
	return err
}

// End ends all that is left running in the cell.
func (c *Cell) End() {
	if c.warden != nil {
		c.warden.end()
	}
}

// OwnProcesses reports whether it has a process namespace of its own.
func (c *Cell) OwnProcesses() bool { return c.warden != nil }

// readOnly lets only c.Writes be written, in a mount namespace of its own.
func (c *Cell) readOnly() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return deniable(err)
	}
	err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE,
		&unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY, Propagation: unix.MS_PRIVATE})
	if err != nil {
		return deniable(err)
	}
	for _, dir := range c.Writes {
		if err := allowWrites(dir); err != nil {
			return fmt.Errorf("but for %s: %w", dir, err)
		}
	}
	return nil
}

func allowWrites(dir string) error {
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY})
}

// separate leaves what other processes share of memory and queues and, unless
// the script may have it, the network; with that, abstract sockets.
func (c *Cell) separate() error {
	if c.Network {
		return deniable(unix.Unshare(unix.CLONE_NEWIPC))
	}
	if err := unix.Unshare(unix.CLONE_NEWIPC | unix.CLONE_NEWNET); err != nil {
		return deniable(err)
	}
	c.Alone = true
	return loopback()
}

// loopback brings up lo, the only interface of a new network namespace.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// hide takes away what a read-only mount does not keep from being written: the
// disks' devices, pipes, and the sockets of services that do what root asks.
// What tells of disks stays, and where names are looked up.
func (c *Cell) hide(services []string) error {
	keep := []string{
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
		"/dev/disk", "/run/udev/data",
	}
	for _, path := range append([]string{c.Script, c.SecretsDir, "/etc/resolv.conf"}, c.Writes...) {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			keep = append(keep, real)
		}
	}
	links := map[string]string{"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"}
	if err := errors.Join(veil("/dev", keep, links), veil("/run", keep, nil)); err != nil {
		return err
	}
	for _, path := range services {
		if err := unix.Mount("/dev/null", path, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return &os.PathError{Op: "mount over", Path: path, Err: err}
		}
	}
	return nil
}
