package durable

// A frozen file system blocks every writer until it is thawed, and stays
// frozen when the process that froze it dies. If it is the one that holds the
// system, that is a dead machine. So what follows must hold:
//
//   - Between freeze and thaw this process makes no other system call,
//     allocates nothing, logs nothing and cannot be interrupted: signals are
//     blocked, and with them the Go runtime's preemption.
//   - A second process, which holds nothing but an open descriptor and needs
//     no file to be read, thaws if the first one dies or takes too long.

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The ioctls of linux/fs.h that golang.org/x/sys lacks.
const (
	ioctlFreeze = 0xC0045877 // FIFREEZE
	ioctlThaw   = 0xC0045878 // FITHAW
)

// thawAfter is after how many seconds the watchdog thaws in any case.
const thawAfter = 10

// freezeForAMoment freezes and thaws the file system that fd is on, which
// must have been synced, so that it takes a moment only.
func freezeForAMoment(fd int) error {
	runtime.LockOSThread() // the signal mask is the thread's
	defer runtime.UnlockOSThread()
	w, err := watch(fd)
	if err != nil {
		return fmt.Errorf("start the watchdog that thaws: %w", err)
	}
	frozen, thawed := freezeThaw(uintptr(fd))
	err = w.dismiss(thawed == 0)
	switch {
	case frozen == unix.EOPNOTSUPP, frozen == unix.EPERM, frozen == unix.EBUSY:
		return fmt.Errorf("freeze: %w", frozen)
	case frozen != 0:
		return errors.Join(fmt.Errorf("freeze: %w", frozen), err)
	case thawed != 0:
		return errors.Join(fmt.Errorf("thaw: %w", thawed), err)
	}
	return err
}

// freezeThaw does just that.
//
//go:nosplit
//go:norace
func freezeThaw(fd uintptr) (frozen, thawed unix.Errno) {
	old := blockSignals()
	_, _, frozen = unix.RawSyscall(unix.SYS_IOCTL, fd, ioctlFreeze, 0)
	if frozen == 0 {
		_, _, thawed = unix.RawSyscall(unix.SYS_IOCTL, fd, ioctlThaw, 0)
	}
	restoreSignals(old)
	return frozen, thawed
}

// A watchdog is a process that thaws when its pipe is closed or time is up.
type watchdog struct {
	pid  int
	pipe *os.File
}

// watch starts a watchdog for the file system that fd is on. It is a plain
// fork without exec: starting a program would have to read files, and would
// have to be there.
func watch(fd int) (*watchdog, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	pid, errno := forkWatchdog(uintptr(fd), uintptr(p[0]), uintptr(p[1]))
	err := unix.Close(p[0])
	w := &watchdog{pid: pid, pipe: os.NewFile(uintptr(p[1]), "watchdog")}
	if errno != 0 {
		return nil, errors.Join(errno, err, w.pipe.Close())
	}
	return w, err
}

// dismiss ends the watchdog; with calm it goes without thawing.
func (w *watchdog) dismiss(calm bool) error {
	var err error
	if calm {
		_, err = w.pipe.Write([]byte{1})
	}
	err = errors.Join(err, w.pipe.Close())
	for {
		_, werr := unix.Wait4(w.pid, nil, 0, nil)
		if werr != unix.EINTR {
			return errors.Join(err, werr)
		}
	}
}

// forkWatchdog forks; the child never returns. It runs with all signals
// blocked and uses nothing of the Go runtime, which does not survive a fork:
// its memory is a copy, its only thread is this one.
//
//go:nosplit
//go:norace
func forkWatchdog(fd, r, w uintptr) (pid int, errno unix.Errno) {
	old := blockSignals()
	n, _, errno := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && n == 0 {
		guard(fd, r, w)
	}
	restoreSignals(old)
	return int(n), errno
}

// guard is the watchdog's life.
//
//go:nosplit
//go:norace
func guard(fd, r, w uintptr) {
	unix.RawSyscall(unix.SYS_CLOSE, w, 0, 0)
	poll := unix.PollFd{Fd: int32(r), Events: unix.POLLIN}
	limit := unix.Timespec{Sec: thawAfter}
	unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&poll)), 1, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if poll.Revents&unix.POLLIN == 0 {
		unix.RawSyscall(unix.SYS_IOCTL, fd, ioctlThaw, 0)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

//go:nosplit
//go:norace
func blockSignals() (old uint64) {
	all := ^uint64(0)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&old)), 8, 0, 0)
	return old
}

//go:nosplit
//go:norace
func restoreSignals(old uint64) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&old)), 0, 8, 0, 0)
}
