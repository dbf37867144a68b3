// Package watcher is the small process that process 1 leaves behind when it
// enters an image on trial: it waits until the boot is good or its time is over,
// notes which, and ends, or restarts the machine.
//
// It is gitboot-init itself, started under another name before that becomes the
// image's init. Nothing of it has to be in the image:
//
//   - It is its own session, in no unit's control group; its name begins with @, so
//     that systemd leaves it alone (systemd's "Root storage daemons"). Whoever else
//     ends all processes, as a shutdown does, ends it too: then nothing is decided.
//   - It needs no program of the image but for what is asked of one: the checks that
//     the config repo declares, the names of hosts (getent), and systemd's state
//     (systemctl). Each has an end.
//   - What it writes goes to the stage (package ledger). Until it has decided it
//     feeds a hardware watchdog that nobody else means to (package watchdog).
//
// A boot is good when the image's init says that the boot has ended, where Health
// asks for that, all that is required is well, is so again after Health.Settle,
// and, where Health asks for that, somebody has confirmed it. What the inits say:
//
//	systemd            no job left, default.target and boot-complete.target reached
//	OpenRC             a runlevel after boot is reached
//	runit              stage 2 runs
//	sysvinit, busybox  process 1 no more waits for rc or rcS
//	others             nothing: Health.Settle is all there is
package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/early/child"
	"github.com/gitboot/gitboot/initramfs/early/kmsg"
)

// Name is the first argument by which gitboot-init knows that it is the watcher.
const Name = "@gitboot-watcher"

// program is its name in the kernel's log.
const program = "gitboot-watcher"

// Files that the watcher gets beside its standard ones.
const (
	taskFile = 3 + iota
	readyFile
)

// A Task is what process 1 knows.
type Task struct {
	Cmdline deployment.Cmdline
	Health  deployment.Health
	// Device is that of the stage.
	Device blockdev.Device
	// Layers are the hashes of the layers that are verified while they are read, lowest
	// first, none if none are; Enforce says that what is damaged cannot be read.
	Layers  []string
	Enforce bool
}

// readyLimit is how long process 1 waits for the record of the boot: a disk that
// takes longer must not hold it up.
const readyLimit = 5 * time.Second

// Start starts the watcher. The returned function waits until it has noted that
// the boot began. What is / now, and /proc and /dev in it, are the watcher's.
func Start(t Task) (noted func(), err error) {
	task, err := memory(t)
	if err != nil {
		return nil, err
	}
	defer task.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	ready, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer told.Close()
	// Nobody waits for it, as the image's init will be its parent; os.StartProcess would
	// start another process first, to see what the kernel has for those who wait.
	_, err = syscall.ForkExec("/proc/self/exe", []string{Name}, &syscall.ProcAttr{
		Dir: "/", Env: []string{"PATH=" + child.Path}, Files: []uintptr{null.Fd(), null.Fd(), null.Fd(), task.Fd(), told.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		ready.Close()
		return nil, fmt.Errorf("starting the watcher: %w", err)
	}
	return func() {
		_ = ready.SetReadDeadline(time.Now().Add(readyLimit))
		_, _ = ready.Read(make([]byte, 1)) // ends when the watcher closes its end
		ready.Close()
	}, nil
}

// memory is a file that is nowhere.
func memory(t Task) (*os.File, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("gitboot-task", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("passing on the task: %w", err)
	}
	f := os.NewFile(uintptr(fd), "task")
	if _, err := f.WriteAt(data, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("passing on the task: %w", err), f.Close())
	}
	return f, nil
}

func receive(from *os.File) (t Task, err error) {
	data, err := io.ReadAll(io.NewSectionReader(from, 0, 16<<20))
	if err == nil {
		err = json.Unmarshal(data, &t)
	}
	return t, err
}

// Run is the watcher's life.
func Run() {
	stayOut()
	log := kmsg.Open(program)
	task, ready := os.NewFile(taskFile, "task"), os.NewFile(readyFile, "ready")
	t, err := receive(task)
	if err != nil {
		log.Say(kmsg.Error, "reading what is to be watched: %v; this boot is not judged", err)
		return
	}
	task.Close()
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	defer stop()
	w := newWatcher(t, log)
	w.begin(ctx)
	ready.Close()
	w.watch(ctx)
}

// stayOut takes little of the machine, and has the kernel keep it when memory is
// short.
func stayOut() {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(25)
	// a kernel that refuses one of them does without
	_ = os.WriteFile("/proc/self/comm", []byte(program), 0)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
}
