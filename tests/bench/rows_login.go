package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// loginConfig are machines whose disks differ in their boot loader alone.
const loginConfig = `[image.os]
pull        = %q
insecure    = true
kernel_args = ["console=ttyS0", "no_timer_check"]

[profile.installed]
images = ["os"]

[profile.installed.disk]
partitions = [{ role = "esp", size = "200MB" }, { role = "stage", grow = true }]

[machine.systemd-boot]
profiles = ["installed"]
boot     = { mode = "managed", timeout = 0, loader = "systemd-boot" }

[machine.grub]
profiles = ["installed"]
boot     = { mode = "managed", timeout = 0, loader = "grub" }
`

var (
	kernelStarts = regexp.MustCompile(`Linux version `)
	asksLogin    = regexp.MustCompile(`\blogin: `)
)

// An installed machine is a disk as gitboot installs it.
type installed struct {
	disk, console string
	accel         lab.Accel
	// loaded are how long it took until the kernel said its first word.
	loaded []float64
}

// login compares systemd-boot with GRUB on the way from power-on to a login, by UEFI.
func login(ctx context.Context, s *site, r row) (result, error) {
	ref, err := s.image(ctx, "zstd")
	if err != nil {
		return result{}, err
	}
	w, err := s.newWorld(ctx, ref, "")
	if err != nil {
		return result{}, err
	}
	if err := w.commit(ctx, fmt.Sprintf(loginConfig, ref)); err != nil {
		return result{}, err
	}
	var machines [2]*installed
	var sides [2]side
	for i, name := range []string{"systemd-boot", "grub"} {
		m := &installed{disk: s.path(name + ".img"), console: s.dir + "-console.log"}
		if m.accel, err = lab.Accelerator(ctx); err != nil {
			return result{}, err
		}
		if _, err := lab.Run(ctx, s.gitboot, "disk", "image", name, "-o", m.disk, "--size", "2GB", "--repo", w.repo.Dir); err != nil {
			return result{}, err
		}
		machines[i] = m
		sides[i] = side{command: "qemu … with the disk of `gitboot disk image " + name + "`, by UEFI", run: func(ctx context.Context, _ int) (usage, error) { return m.boot(ctx) }}
	}
	res, err := timed(ctx, r, sides[0], sides[1], func(ratio float64) check {
		return check{Target: "is told", Figure: number(ratio) + " times", Met: true}
	})
	if err != nil {
		return res, err
	}
	res.Ours, res.Theirs = wallOf(res.Pairs, pair.ours), wallOf(res.Pairs, pair.theirs)
	res.Note = fmt.Sprintf("QEMU with %s, started each time from the disk as it was made, whose first boot is on trial; the menus wait for nobody. "+
		"The kernel's first word came %s (systemd-boot) and %s (GRUB) after power-on.",
		machines[0].accel, seconds(median(machines[0].loaded[1:])), seconds(median(machines[1].loaded[1:])))
	return res, nil
}

// boot starts the machine, and measures until somebody could log in.
func (m *installed) boot(ctx context.Context) (_ usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	log, err := os.Create(m.console)
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	began := time.Now()
	vm, err := lab.StartVM(ctx, lab.VMOptions{Disk: m.disk, Firmware: lab.UEFI, Accel: m.accel, Snapshot: true, Console: log})
	if err != nil {
		return usage{}, err
	}
	defer func() { err = errors.Join(err, vm.Stop()) }()
	if _, err := vm.WaitFor(ctx, kernelStarts); err != nil {
		return usage{}, err
	}
	m.loaded = append(m.loaded, time.Since(began).Seconds())
	if _, err := vm.WaitFor(ctx, asksLogin); err != nil {
		return usage{}, err
	}
	return wallOnly(time.Since(began)), nil
}
