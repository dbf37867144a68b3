// Package early is what gitboot's process 1 does in the initramfs: it finds
// the stage, mounts a deployment's layers and enters the image.
//
// It needs, on the kernel command line (package deployment has all parameters):
//
//	gitboot.stage=UUID=…:/path   where the stage is; also LABEL=, PARTUUID=
//	                             and /dev/… by the kernel's own names
//	gitboot.deployment=<sha256>  what to boot
//	panic=30                     reboot if nothing else helps
//	gitboot.assemble=lvm:…       optional: what the stage's file system is on
//	init=                        optional: the image's init
//
// and in the initramfs /gitboot-modules (package modindex), the modules that
// it lists, and optionally /bin/busybox for the emergency shell. The stage may
// be on ext2, ext3, ext4, xfs, btrfs, f2fs or vfat, on a disk or a partition, or on what
// gitboot.assemble= names: linear and striped volumes of LVM, RAID 1, LUKS; a btrfs
// may have several devices. It is not on a network.
//
// What it leaves behind for the running system:
//
//	/                          overlay: layers, hooks, a tmpfs on top, or what the
//	                           manifest's root has in its place
//	/dev /proc /sys /run       mounted
//	/run/initramfs/gitboot     the stage's directory, read-only; the agent may
//	                           remount it. It isn't there if the layers were
//	                           copied to memory.
//	/run/initramfs/gitboot-root  the folder on a disk that holds the writable layer,
//	                           if there is one
//
// Arguments of /init are passed on to the image's init: init=, else /sbin/init,
// /etc/init, /bin/init or /usr/lib/systemd/systemd, the first there is. A shell is
// none: an image without an init has failed.
//
// If anything fails, a shell is opened on the console, or what follows is left to
// the kernel's panic=. With gitboot.trying=1 the machine reboots instead, and a
// watcher is left behind in the image (package watcher); with gitboot.trying=counted,
// if the name of the boot loader's entry counts boots. Why a boot failed is noted
// on the stage as soon as that is found (package ledger).
package early

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/initramfs/early/blockdev"
	"github.com/gitboot/gitboot/initramfs/modindex"
)

const (
	indexFile = "/gitboot-modules"
	newRoot   = "/root"
	// stageDir lies below /run/initramfs because systemd leaves that alone
	// when it shuts down, and the root file system is on it.
	stageDir = deployment.StageMount
	// defaultWait is how long to look for the stage's device: a USB disk
	// takes ten seconds, a large RAID controller half a minute.
	defaultWait = 60 * time.Second
)

// A boot is the state of one way from /init to the image's init.
type boot struct {
	log      *log
	start    time.Time
	args     []string
	text     string // the kernel command line
	cmd      deployment.Cmdline
	modules  *modules
	devices  *devices
	device   blockdev.Device // the stage's
	manifest *deployment.Manifest
	found    time.Duration // when the stage was mounted
	entered  bool          // the new root is /
	freed    chan struct{} // closed when the modules' files are removed
}

// Run boots. It returns only if there is nothing left to do; process 1 then
// ends, and the kernel panics and reboots.
func Run(args []string) {
	b := &boot{start: time.Now(), args: args, log: new(log)}
	err := b.run()
	b.fail(err)
}

func (b *boot) run() error {
	if err := b.prepare(); err != nil {
		return err
	}
	if b.cmd.Recovery {
		return recovery{b}.run()
	}
	base := make(chan error, 1)
	go func() {
		err := b.modules.loadNamed("loop", "squashfs", "overlay")
		b.modules.loadAhead(verifying[:]...)
		b.loadPstore()
		base <- err
	}()
	if err := b.mountStage(); err != nil {
		return err
	}
	b.found = time.Since(b.start)
	askIfTrying(b)
	if err := b.readManifest(); err != nil {
		return err
	}
	if err := errors.Join(<-base, b.loadVerity()); err != nil {
		return err
	}
	if err := (writable{b}).mount(); err != nil {
		return err
	}
	b.freed = make(chan struct{})
	go func() {
		b.modules.stop()
		freeModules()
		close(b.freed)
	}()
	if err := b.mountRoot(); err != nil {
		return err
	}
	b.keepCrash()
	if err := moveMounts(); err != nil {
		return err
	}
	if err := b.runAtBoot(); err != nil {
		return err
	}
	if b.cmd.Shell {
		b.log.notice("opening a shell, as %s=1 asks; leave it to go on", deployment.ParamShell)
		if err := b.shell(); err != nil {
			b.log.warn("opening the shell: %v", err)
		}
	}
	return b.enter()
}

// prepare makes the world that everything else needs.
func (b *boot) prepare() error {
	if err := mountBase(); err != nil {
		return err
	}
	b.log.open()
	text, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel command line: %w", err)
	}
	b.text = string(text)
	// known even if the rest of the command line is unusable: it decides
	// what a failure does
	b.cmd.Trying = strings.Contains(" "+b.text, " "+deployment.ParamTrying+"=1") || strings.Contains(" "+b.text, " "+deployment.ParamTrying+"="+deployment.TryingIfCounted)
	cmd, ignored, err := deployment.ParseCmdline(b.text)
	if err != nil {
		return fmt.Errorf("reading the kernel command line: %w", err)
	}
	for _, why := range ignored {
		b.log.error("kernel parameter %v; it is left out", why)
	}
	b.cmd = cmd
	list, err := os.ReadFile(indexFile)
	if err != nil {
		return fmt.Errorf("reading the list of modules: %w", err)
	}
	index, err := modindex.Parse(string(list))
	if err != nil {
		return err
	}
	b.modules = newModules(index, b.log, b.text)
	b.devices = &devices{log: b.log, modules: b.modules, wait: defaultWait}
	for _, step := range b.cmd.Assembly.Steps() {
		if step.Kind == deployment.AssembleRAID {
			b.devices.arrays = append(b.devices.arrays, step.ID)
		}
	}
	if b.cmd.Wait > 0 {
		b.devices.wait = time.Duration(b.cmd.Wait) * time.Second
	}
	return nil
}

func mountBase() error {
	for _, m := range []struct {
		kind, dir string
		flags     uintptr
		data      string
	}{
		{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=0755"},
		{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	} {
		if err := mount(m.kind, m.dir, m.kind, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

// mount makes the mount point and mounts on it.
func mount(source, dir, kind string, flags uintptr, data string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making mount point %s: %w", dir, err)
	}
	if err := unix.Mount(source, dir, kind, flags, data); err != nil {
		return fmt.Errorf("mounting %s on %s as %s: %w", source, dir, kind, err)
	}
	return nil
}
