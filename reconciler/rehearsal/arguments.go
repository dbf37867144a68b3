package rehearsal

import (
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/qemu"
)

// absent keeps systemd from waiting for disks that only the real machine has:
// those in fstab and crypttab (systemd-fstab-generator(8),
// systemd-cryptsetup-generator(8)).
var absent = []string{"fstab=no", "luks=no"}

// arguments are those of the deployment's boot entry, on another disk, and what a
// virtual machine wants besides.
func arguments(d Deployment, id string, trying bool, accel qemu.Accel, window bool) ([]string, error) {
	own := deployment.Cmdline{
		Stage:      deployment.Location{Device: "UUID=" + uuid(id), Path: stagePath},
		Deployment: id, Machine: d.Machine, Trying: trying,
	}
	args := append(own.Args(), deployment.Foreign(d.Manifest.KernelArgs)...)
	args = append(append(args, absent...), consoles(args, window)...)
	args = append(args, "panic=1") // a machine that restarts has ended
	if accel != qemu.KVM {
		args = append(args, "no_timer_check") // which fails where this computer is busy
	}
	return deployment.Words("", args)
}

// consoles sends what the kernel and init print to the serial port, and to the
// screen where that is looked at.
func consoles(args []string, window bool) []string {
	if window {
		return []string{"console=ttyS0", "console=tty0"}
	}
	last := ""
	for _, arg := range slices.Backward(args) {
		if strings.HasPrefix(arg, "console=") {
			last = arg
			break
		}
	}
	if last == "console=ttyS0" || strings.HasPrefix(last, "console=ttyS0,") {
		return nil
	}
	return []string{"console=ttyS0"}
}
