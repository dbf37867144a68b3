// Package watchdog feeds a hardware watchdog, so that the machine restarts if its
// kernel hangs (Documentation/watchdog/watchdog-api.rst).
//
// Of several devices the first is taken that nobody has open and that can be let
// go of again. Where the image means to feed one itself, none is: it could not
// open it.
package watchdog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of after how long without food the machine restarts, if the device can
// do that: longer than a busy disk stops a process.
const (
	shortest = 10 * time.Second
	longest  = time.Minute
)

// A Dog is a device that has to be fed.
type Dog struct {
	file *os.File
	// Name is what the device is called, Timeout how long it waits.
	Name    string
	Timeout time.Duration
}

// ErrNone is that there is no device to be had.
var ErrNone = errors.New("there is no watchdog that could be let go of again")

// Open takes the first device that can be taken, and has it wait for about so
// long.
func Open(wait time.Duration) (*Dog, error) {
	names, _ := filepath.Glob("/sys/class/watchdog/watchdog*")
	for _, dir := range names {
		if !stoppable(dir) {
			continue
		}
		f, err := os.OpenFile("/dev/"+filepath.Base(dir), os.O_WRONLY, 0)
		if err != nil { // EBUSY: somebody feeds it
			continue
		}
		return take(f, dir, max(shortest, min(wait, longest)))
	}
	return nil, ErrNone
}

// stoppable reports whether a device can be let go of. One of a kernel that does
// not tell, before Linux 4.5 or without WATCHDOG_SYSFS, is left alone.
func stoppable(dir string) bool { return attribute(dir, "nowayout") == "0" }

func attribute(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(text))
}

func take(f *os.File, dir string, wait time.Duration) (*Dog, error) {
	fd := int(f.Fd())
	// what the device cannot do it refuses, and keeps what it has
	_ = unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, int(wait/time.Second))
	seconds, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	d := &Dog{f, attribute(dir, "identity"), time.Duration(seconds) * time.Second}
	if err == nil && seconds < 2 {
		err = fmt.Errorf("%s waits for %d s only", d.Name, seconds)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking the watchdog %s: %w", f.Name(), err), d.Release())
	}
	return d, nil
}

// Feed is to be called more often than Timeout.
func (d *Dog) Feed() error {
	_, err := d.file.Write([]byte{0})
	return err
}

// Release stops the device.
func (d *Dog) Release() error {
	_, err := d.file.WriteString("V") // the magic close
	return errors.Join(err, d.file.Close())
}
