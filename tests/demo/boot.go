package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// bootLimit is many times what a boot takes under software emulation.
const bootLimit = 3 * time.Minute

// A fact is a line that the example's hook "announce" prints on the console
// when the machine is up, and what its group must be.
type fact struct {
	line *regexp.Regexp
	want string
}

func facts(hostname string) []fact {
	return []fact{
		{regexp.MustCompile(`gitboot: hostname (\S+)`), hostname},
		{regexp.MustCompile(`gitboot: image (\S+)`), "desktop:stable"},
		{regexp.MustCompile(`gitboot: root is (\S+)`), "overlay"},
		{regexp.MustCompile(`gitboot: fstab (\S+\s+\S+)`), "LABEL=home /home"},
		{regexp.MustCompile(`gitboot: (machine is up)`), "machine is up"},
	}
}

// boot starts the disk in a machine and waits until the machine itself says
// that it is up, and who it is.
func (d *demo) boot(hostname string) func(context.Context) (string, error) {
	return func(ctx context.Context) (_ string, err error) {
		log, err := os.Create(d.log)
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		var console io.Writer = log
		if d.console != nil {
			console = io.MultiWriter(log, d.console)
		}
		vm, err := lab.StartVM(ctx, lab.VMOptions{Disk: d.disk.Path, Accel: d.accel, Console: console})
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, vm.Stop()) }()
		up, err := watch(ctx, vm, hostname)
		if err != nil {
			return "", fmt.Errorf("%w\nthe whole console is in %s; see what it says first", err, d.log)
		}
		return fmt.Sprintf("%s came up in %.1f s, host name and fstab from the hooks, / an overlay", hostname, up.Seconds()), nil
	}
}

// watch reads the facts off the console, and returns when the last came.
func watch(ctx context.Context, vm *lab.VM, hostname string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	var at time.Duration
	for _, f := range facts(hostname) {
		m, err := vm.WaitFor(ctx, f.line)
		if err != nil {
			return 0, err
		}
		fmt.Printf("    [%5.1f s] %s\n", m.At.Seconds(), m.Groups[0])
		if got := space.ReplaceAllString(m.Groups[1], " "); got != f.want {
			return 0, fmt.Errorf("the machine says %q, want %q", got, f.want)
		}
		at = m.At
	}
	return at, nil
}

var space = regexp.MustCompile(`\s+`)
