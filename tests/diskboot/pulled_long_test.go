//go:build long

package diskboot

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// A stick that is pulled out while it installs a machine is told of, whenever that is.
// What was begun starts nothing, no other disk was touched, and the stick installs the
// machine when it is plugged in again.
func TestLongStickIsPulledOut(t *testing.T) {
	s := newSiteOf(t, strings.NewReplacer("PARTITIONS", partitions, "loglevel=5", "loglevel=7").Replace(config), lab.SmallUSB)
	s.ctx = t.Context() // it boots five times
	must(t, os.WriteFile(filepath.Join(s.dir, "install.toml"), []byte(answers), 0o644))
	stick, disk, other := s.iso(t, "--answers", "install.toml"), s.blank(t), filepath.Join(s.dir, "other")
	junk := bytes.Repeat([]byte("old data"), 64<<20/8)
	must(t, os.WriteFile(other, junk, 0o600))
	machine := lab.VMOptions{Disk: disk, Stick: stick, StickBus: lab.USB, More: []string{other}, Firmware: lab.UEFI, MemoryMB: 512}
	for _, moment := range []string{`Run /init`, `writing vd. +[1-9]`, `writing vd. +[1-9]\d\.`, `reading vd. back`} {
		t.Run(moment, func(t *testing.T) {
			t.Logf("it is said: %s", s.pulled(t, machine, moment))
			if starts(t, disk) {
				t.Error("the disk starts something")
			}
		})
	}
	s.prints(t, s.machine(t, machine), `boots small at revision`, `lab: small started`)
	if now, err := os.ReadFile(other); err != nil || !bytes.Equal(now, junk) {
		t.Errorf("another disk is not what it was: %v", err)
	}
}

// pulled starts a machine from the stick, pulls that out when a line comes, and returns
// what is said about it.
func (s *site) pulled(t *testing.T, o lab.VMOptions, moment string) string {
	t.Helper()
	vm := s.machine(t, o)
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Minute)
	defer cancel()
	_, err := vm.WaitFor(ctx, regexp.MustCompile(moment))
	must(t, err)
	must(t, vm.PullStick(ctx))
	m, err := vm.WaitFor(ctx, regexp.MustCompile(`^gitboot: (.+)`))
	must(t, err)
	_, err = vm.WaitFor(ctx, regexp.MustCompile(`this is the recovery entry`))
	must(t, err)
	must(t, vm.Stop())
	return m.Groups[1]
}

func (s *site) machine(t *testing.T, o lab.VMOptions) *lab.VM {
	t.Helper()
	vm, err := lab.StartVM(s.ctx, o)
	must(t, err)
	t.Cleanup(func() { must(t, vm.Stop()) })
	return vm
}
