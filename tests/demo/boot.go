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

// bootLimit is many times what a boot takes under software emulation, and so how long
// a machine may say nothing that is waited for.
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
	return func(ctx context.Context) (string, error) {
		up, err := d.start(ctx, lab.VMOptions{Disk: d.disk.Path}, facts(hostname))
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s came up in %.1f s, host name and fstab from the hooks, / an overlay", hostname, last(up).Seconds()), nil
	}
}

// start starts a machine, and returns when each of these facts came.
func (d *demo) start(ctx context.Context, o lab.VMOptions, want []fact) (at []time.Duration, err error) {
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	o.Accel, o.Console = d.accel, log
	if d.console != nil {
		o.Console = io.MultiWriter(log, d.console)
	}
	vm, err := lab.StartVM(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vm.Stop()) }()
	if at, err = watch(ctx, vm, want); err != nil {
		return nil, fmt.Errorf("%w\nthe whole console is in %s; see what it says first", err, d.log)
	}
	return at, nil
}

// last is when the last fact came.
func last(at []time.Duration) time.Duration { return at[len(at)-1] }

// watch reads the facts off the console, and returns when each came.
func watch(ctx context.Context, vm *lab.VM, want []fact) (at []time.Duration, err error) {
	for _, f := range want {
		m, err := waitFor(ctx, vm, f.line)
		if err != nil {
			return nil, err
		}
		fmt.Printf("    [%5.1f s] %s\n", m.At.Seconds(), m.Groups[0])
		if got := space.ReplaceAllString(m.Groups[1], " "); got != f.want {
			return nil, fmt.Errorf("the machine says %q, want %q", got, f.want)
		}
		at = append(at, m.At)
	}
	return at, nil
}

func waitFor(ctx context.Context, vm *lab.VM, line *regexp.Regexp) (lab.Match, error) {
	ctx, cancel := context.WithTimeout(ctx, bootLimit)
	defer cancel()
	return vm.WaitFor(ctx, line)
}

var space = regexp.MustCompile(`\s+`)
