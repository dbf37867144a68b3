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
func arguments(d Deployment, id string, trying bool, accel qemu.Accel, consoles []string) ([]string, error) {
	own := deployment.Cmdline{
		Stage:      deployment.Location{Device: "UUID=" + uuid(id), Path: stagePath},
		Deployment: id, Machine: d.Machine, Trying: trying,
	}
	args := append(own.Args(), deployment.Foreign(d.Manifest.KernelArgs)...)
	args = append(append(args, absent...), consoles...)
	args = append(args, "panic=1") // a machine that restarts has ended
	if accel != qemu.KVM {
		args = append(args, "no_timer_check") // which fails where this computer is busy
	}
	return deployment.Words("", args)
}

// consoles sends what the kernel and init print to the serial port, and to the
// screen where that is looked at, besides what a deployment's own arguments say.
func consoles(port string, args []string, window bool) []string {
	port = "console=" + port
	if window {
		return []string{port, "console=tty0"}
	}
	last := ""
	for _, arg := range slices.Backward(args) {
		if strings.HasPrefix(arg, "console=") {
			last = arg
			break
		}
	}
	if last == port || strings.HasPrefix(last, port+",") {
		return nil
	}
	return []string{port}
}
