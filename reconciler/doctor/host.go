package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/reconciler/source/quarantine"
	"github.com/gitboot/gitboot/reconciler/state"
)

// checkClock distrusts a clock that is behind what was done already, and one
// that nobody sets: certificates, schedules and the order of runs depend on it.
func checkClock(_ context.Context, v *visit) []Finding {
	now := time.Now()
	if v.Config.Now != nil {
		now = v.Config.Now()
	}
	const set = "set the clock, and have it kept: timedatectl set-ntp true"
	if last := v.lastDone(); now.Before(last.Add(-time.Minute)) {
		return fail(fmt.Sprintf("it is %s here, and something was done at %s already", stamp(now), stamp(last)), set)
	}
	if synchronised, err := clockKept(); err != nil {
		return warn(fmt.Sprintf("whether the clock is synchronised is not known: %v", err), "look at timedatectl")
	} else if !synchronised {
		return warn("nothing synchronises the clock", "timedatectl set-ntp true, with systemd-timesyncd or chrony installed")
	}
	return ok("set, and synchronised")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// lastDone is when the newest of what is noted was done.
func (v *visit) lastDone() (last time.Time) {
	doc, err := v.doc()
	if err != nil {
		return last
	}
	for _, img := range doc.Images {
		for _, at := range append(created(img), img.Origin.Checked) {
			if at.After(last) {
				last = at
			}
		}
	}
	return last
}

func created(img *state.Image) (times []time.Time) {
	for _, g := range img.Generations {
		times = append(times, g.Created)
	}
	return times
}

// clockKept asks the kernel whether something keeps its clock, as adjtimex(2)
// says.
func clockKept() (bool, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, err
}

// features are what the running kernel needs for the engines that build, and for
// looking into what is staged. What deployments need of their own kernels is
// looked at when their initramfs is made.
var features = []string{"overlay", "squashfs", "loop"}

func checkKernel(context.Context, *visit) []Finding {
	var lacking []string
	for _, name := range features {
		if !hasFeature(name) {
			lacking = append(lacking, name)
		}
	}
	release := kernelRelease()
	if len(lacking) > 0 {
		return warn(fmt.Sprintf("the running kernel %s has no %s", release, strings.Join(lacking, ", ")),
			"engines may not build here, and staged layers cannot be mounted to look into; run a kernel that has them")
	}
	return ok("%s has %s", release, strings.Join(features, ", "))
}

func hasFeature(name string) bool {
	if _, err := os.Stat("/sys/module/" + name); err == nil {
		return true
	}
	data, _ := os.ReadFile("/proc/filesystems")
	if slices.Contains(strings.Fields(string(data)), name) {
		return true
	}
	if name == "loop" {
		if _, err := os.Stat("/dev/loop-control"); err == nil {
			return true
		}
	}
	return hasModule(name)
}

// hasModule looks for a module of the running kernel that is not loaded yet.
func hasModule(name string) bool {
	for _, dir := range []string{"/lib/modules", "/usr/lib/modules"} {
		for _, list := range []string{"modules.builtin", "modules.dep"} {
			data, err := os.ReadFile(filepath.Join(dir, kernelRelease(), list))
			if err == nil && strings.Contains(string(data), "/"+name+".ko") {
				return true
			}
		}
	}
	return false
}

func kernelRelease() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "of an unknown version"
	}
	return unix.ByteSliceToString(name.Release[:])
}

func checkQuarantine(context.Context, *visit) []Finding {
	m := quarantine.Available()
	switch {
	case m.Landlock == 0 && !m.Seccomp:
		return warn("the kernel knows neither landlock nor seccomp: what git servers send is read by a process that only has lost root's rights",
			"run a kernel with CONFIG_SECURITY_LANDLOCK and CONFIG_SECCOMP_FILTER, and lsm= with landlock in it")
	case m.Landlock == 0:
		return warn("the kernel has no landlock: the process that reads what git servers send is confined by seccomp alone", "add landlock to lsm= on the kernel command line (Linux 5.13 or newer)")
	case !m.Seccomp:
		return warn("the kernel has no seccomp: the process that reads what git servers send is confined by landlock alone", "run a kernel with CONFIG_SECCOMP_FILTER")
	}
	return ok("landlock (version %d) and seccomp confine what reads packs", m.Landlock)
}
