package early

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/ledger"
)

// retryDelay leaves a message on the screen before a reboot wipes it.
const retryDelay = 5 * time.Second

// fail ends a boot that cannot go on: the machine reboots where gitboot.trying=1
// says so, else there is a shell. If it returns, process 1 ends and the kernel
// does what panic= says.
func (b *boot) fail(err error) {
	b.log.error("cannot boot deployment %s: %v", b.cmd.Deployment, err)
	b.note(err)
	if b.cmd.Trying {
		b.log.error("this deployment is on trial: rebooting in %v, so that the boot loader falls back", retryDelay)
		reboot(retryDelay)
	}
	if damaged := (*damageError)(nil); errors.As(err, &damaged) && b.cmd.Fallback != "" {
		l := ledger.Ledger{Cmdline: b.cmd, Device: b.device, Root: b.rootDir()}
		if err := l.FallBack(); err != nil {
			b.log.error("%v", err)
		} else {
			b.log.error("rebooting in %v, once into the entry %s", retryDelay, b.cmd.Fallback)
			reboot(retryDelay)
		}
	}
	b.log.error("opening an emergency shell on the console; leaving it reboots")
	if err := b.shell(); err != nil {
		b.log.error("opening the shell: %v", err)
		return
	}
	reboot(0)
}

// A damageError says that an object is not there, or not what it was.
type damageError struct {
	object string // its hash
	err    error
}

func (e *damageError) Error() string { return e.err.Error() }
func (e *damageError) Unwrap() error { return e.err }

// note leaves a record of a failure on the stage, if that was found.
func (b *boot) note(failure error) {
	if b.device.Path == "" {
		return
	}
	l := ledger.Ledger{Cmdline: b.cmd, Device: b.device, Root: b.rootDir()}
	record, err := l.Record(deployment.BootBad, failure.Error())
	if damaged := (*damageError)(nil); errors.As(failure, &damaged) {
		record.Damaged = []string{damaged.object}
	}
	if record.ID != "" {
		err = errors.Join(err, l.Alone(record))
	}
	if err != nil {
		b.log.error("noting that: %v", err)
	}
}

// rootDir is where /dev, /proc and /run are now, "" for /.
func (b *boot) rootDir() string {
	if _, err := os.Stat("/proc/self"); err == nil {
		return ""
	}
	return newRoot
}

func reboot(after time.Duration) {
	unix.Sync()
	time.Sleep(after)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

var errNoShell = errors.New("there is none in the initramfs or the image; an image with a static /bin/busybox brings one")

// shell runs a shell on the console: the initramfs's own, else the image's.
func (b *boot) shell() error {
	if !b.entered {
		if _, err := os.Stat("/bin/busybox"); err == nil {
			return console("", "/bin/busybox", "sh")
		}
	}
	for _, name := range []string{"/bin/sh", "/bin/bash", "/usr/bin/sh"} {
		if b.entered {
			if _, err := os.Stat(name); err == nil {
				return console("", name)
			}
			continue
		}
		// a link may be absolute: its target is found in the chroot only
		if _, err := os.Lstat(filepath.Join(newRoot, name)); err == nil {
			return console(newRoot, name)
		}
	}
	return errNoShell
}

// console runs a program with the console as its terminal.
func console(root string, argv ...string) error {
	tty, err := openConsole()
	if err != nil {
		return err
	}
	defer tty.Close()
	cmd := &exec.Cmd{Path: argv[0], Args: argv, Dir: "/", Env: initEnv(), Stdin: tty, Stdout: tty, Stderr: tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Setsid: true, Setctty: true}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}
	return err
}

// openConsole finds the console before and after /dev was moved.
func openConsole() (*os.File, error) {
	f, err := os.OpenFile(newRoot+"/dev/console", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err == nil {
		return f, nil
	}
	return os.OpenFile("/dev/console", os.O_RDWR|syscall.O_NOCTTY, 0)
}
