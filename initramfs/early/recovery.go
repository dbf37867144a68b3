package early

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/initramfs/early/blockdev"
)

// recoveryDir holds what gitboot-rescue needs to know.
const recoveryDir = "/etc/gitboot"

const (
	// stageWait is how long the console's shell waits for the stage, so that who
	// opens it finds it there.
	stageWait = 10 * time.Second
	// again is the pause before a program that ended is started anew.
	again = time.Second
)

// A recovery is a boot that enters no image.
type recovery struct{ *boot }

// run enters no image: it loads what drives the devices, mounts the stage if
// there is one, lets the admins in over the network, and opens a shell on the
// console, for as long as the machine runs.
func (b recovery) run() error {
	for _, dir := range []string{"/tmp", "/dev/pts", "/root"} {
		_ = os.MkdirAll(dir, 0o755) // seen where it is missed
	}
	if err := mount("devpts", "/dev/pts", "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=0620,ptmxmode=0666"); err != nil {
		b.log.warn("terminals cannot be opened: %v", err)
	}
	if err := b.modules.loadNamed("loop", "squashfs", "overlay"); err != nil {
		b.log.warn("%v", err)
	}
	fd, err := listen()
	if err != nil {
		return err
	}
	events, found := make(chan uevent, 256), make(chan blockdev.Device, 1)
	go receive(fd, events)
	if b.cmd.Assembly == "" {
		go b.attend(events, found)
	} else {
		go b.attend(events, nil)
		go b.seek(found)
	}
	b.modules.coldplug()
	if _, err := os.Stat("/bin/busybox"); err == nil {
		install := exec.Command("/bin/busybox", "--install", "-s", "/bin")
		install.Env = recoveryEnv()
		_ = install.Run() // without them, busybox is called by its name
	}
	go b.keepRunning("/bin/gitboot-rescue", recoveryDir)
	select {
	case d := <-found:
		b.mountFound(d)
	case <-time.After(stageWait):
		b.log.warn("the stage %s has not been found so far", b.cmd.Stage)
		go func() { b.mountFound(<-found) }()
	}
	if b.cmd.Install != "" {
		b.install()
	}
	b.log.notice("this is the recovery entry: %q is what can be done; leaving the shell opens another", "gitboot boot --help")
	for {
		if err := b.shell(); err != nil {
			b.log.error("opening the shell: %v", err)
			time.Sleep(time.Minute)
		}
		time.Sleep(again)
	}
}

// install has gitboot install the machine, which restarts it in the end. If it does
// not, somebody has the shell. It mounts what says how to install, and what grows.
func (b recovery) install() {
	for _, name := range []string{"ext4", "vfat", "isofs", "xfs", "btrfs"} {
		if b.modules.index.Find(name) < 0 {
			continue // built in, or nothing that this kernel has
		}
		if err := b.modules.loadNamed(name); err != nil {
			b.log.warn("%v", err)
		}
	}
	if err := console("", "/bin/gitboot", "install", "--from", stageDir, "--answers", b.cmd.Install); err != nil {
		b.log.error("installing: %v", err)
	}
}

// seek finds the stage's device where that is to be assembled first.
func (b recovery) seek(found chan<- blockdev.Device) {
	d, err := b.findStage()
	if err != nil {
		b.log.warn("the stage is not mounted: %v", err)
		return
	}
	found <- d
}

// attend loads drivers for devices as they come, and finds the stage's, unless that is
// found otherwise.
func (b recovery) attend(events <-chan uevent, found chan<- blockdev.Device) {
	s := blockdev.Find(b.cmd.Stage.Device)
	q := quest{look: func(name string) bool {
		d, ok := s.Look(name)
		if ok = ok && b.devices.whole(d); ok {
			found <- d
			found = nil
		}
		return ok
	}}
	quick := time.NewTimer(0)
	if found != nil {
		q.all()
	}
	for {
		select {
		case e := <-events:
			if alias := e["MODALIAS"]; alias != "" && e["ACTION"] == "add" {
				b.modules.request(alias)
			}
			if e["SUBSYSTEM"] == "block" && e["ACTION"] != "remove" && found != nil {
				q.event(e)
			}
		case <-quick.C:
			if !b.modules.release() {
				quick.Reset(quickSettle)
			}
		}
	}
}

// mountFound mounts the stage read-only, where gitboot looks for it.
func (b recovery) mountFound(d blockdev.Device) {
	if err := b.mountStageOf(d); err != nil {
		b.log.warn("the stage is not mounted: %v", err)
		return
	}
	b.log.info("the stage on %s is at %s", d.Path, stageDir)
}

// recoveryEnv is what programs of the initramfs get.
func recoveryEnv() []string { return []string{"PATH=/bin:/sbin", "HOME=/root"} }

// keepRunning runs a program with its output in the kernel's log, and starts it
// anew when it ends.
func (b recovery) keepRunning(argv ...string) {
	for {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = recoveryEnv()
		cmd.Stdout = b.log
		cmd.Stderr = b.log
		err := cmd.Run()
		b.log.error("%s ended: %v", filepath.Base(argv[0]), err)
		time.Sleep(again)
	}
}

// Write logs what a program says.
func (l *log) Write(text []byte) (int, error) {
	for line := range strings.Lines(string(text)) {
		l.notice("%s", strings.TrimSpace(line))
	}
	return len(text), nil
}
