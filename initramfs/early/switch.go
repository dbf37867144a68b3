package early

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/watcher"
)

// moved are the mounts that the image's init finds in place.
var moved = [...]string{"/dev", "/proc", "/sys", "/run"}

func moveMounts() error {
	for _, dir := range moved {
		to := newRoot + dir
		if err := os.MkdirAll(to, 0o755); err != nil {
			return fmt.Errorf("making %s: %w", to, err)
		}
		if err := unix.Mount(dir, to, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s to %s: %w", dir, to, err)
		}
	}
	return nil
}

// enter makes the new root /, frees the initramfs and becomes the image's
// init.
func (b *boot) enter() error {
	old, err := os.Open("/")
	if err != nil {
		return err
	}
	defer old.Close()
	if err := switchRoot(); err != nil {
		return err
	}
	b.entered = true
	init, err := findInit(b.text)
	if err != nil {
		return err
	}
	noted := b.watch()
	<-b.freed
	empty(old)
	noted()
	useConsole()
	b.log.info("entering %s after %.2f s (stage found at %.2f s, %d layers)",
		init, time.Since(b.start).Seconds(), b.found.Seconds(), len(b.manifest.Layers))
	b.log.restore()
	args := append([]string{init}, b.args...)
	return fmt.Errorf("executing %s: %w", init, syscall.Exec(init, args, initEnv()))
}

// watch has a deployment on trial judged. The returned function waits until it
// is noted that the boot began. Without a watcher nothing will mark the deployment
// good: the boot loader's count falls back from it.
func (b *boot) watch() (noted func()) {
	if !b.cmd.Trying {
		return func() {}
	}
	task := watcher.Task{Cmdline: b.cmd, Health: b.manifest.Judged(), Device: b.device}
	if v := b.manifest.Verity; v != nil {
		task.Enforce = v.Mode == deployment.VerityEnforce
		for _, o := range b.manifest.Squashed() {
			task.Layers = append(task.Layers, o.SHA256)
		}
	}
	noted, err := watcher.Start(task)
	if err != nil {
		b.log.error("%v; this boot is not judged", err)
		return func() {}
	}
	return noted
}

func switchRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the new root to /: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("changing to the new root: %w", err)
	}
	return os.Chdir("/")
}

// findInit chooses the image's init.
func findInit(cmdline string) (string, error) {
	tried := deployment.Inits(deployment.Fields(cmdline))
	for _, name := range tried {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("finding the image's init: there is none of %s", strings.Join(tried, ", "))
}

// initEnv is what the kernel gives an init, with unknown parameters of the
// kernel command line as they came in.
func initEnv() []string {
	env := os.Environ()
	if _, ok := os.LookupEnv("PATH"); !ok {
		env = append(env, "PATH=/sbin:/usr/sbin:/bin:/usr/bin")
	}
	return env
}

// useConsole gives the image's init the console of its own /dev as standard
// files: those from the initramfs's own node may be closed or be /dev/null.
func useConsole() {
	fd, err := unix.Open("/dev/console", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return // a machine without one
	}
	for std := range 3 {
		_ = unix.Dup2(fd, std)
	}
	if fd > 2 {
		unix.Close(fd)
	}
}

// freeModules removes the modules' files, the bulk of the initramfs: once the
// stage is mounted, no more are needed.
func freeModules() {
	if dir, err := os.Open("/lib/modules"); err == nil {
		empty(dir)
		dir.Close()
	}
}

// empty removes what the initramfs holds, to give its memory back, and
// nothing that is mounted on it.
func empty(root *os.File) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	if unix.Fstat(int(root.Fd()), &st) != nil || unix.Fstatfs(int(root.Fd()), &fs) != nil {
		return
	}
	if fs.Type == unix.RAMFS_MAGIC || fs.Type == unix.TMPFS_MAGIC {
		emptyDir(root, st.Dev)
	}
}

func emptyDir(dir *os.File, dev uint64) {
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		err := unix.Unlinkat(int(dir.Fd()), name, 0)
		if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
			continue
		}
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		sub := os.NewFile(uintptr(fd), name)
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && st.Dev == dev {
			emptyDir(sub, dev)
		}
		sub.Close()
		_ = unix.Unlinkat(int(dir.Fd()), name, unix.AT_REMOVEDIR)
	}
}
