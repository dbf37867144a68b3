//go:build long

package vm

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// Who chooses the entry without graphics drivers in GRUB's menu gets what is known to be
// good, with nomodeset, while something else is on trial. Nothing is counted or judged of
// that: what is on trial has all its tries afterwards, and proves good.
func TestLongSafeGraphics(t *testing.T) {
	s := newEmptySite(t)
	fleet := strings.Replace(smallFleet, `tries = 1`, `tries = 2, timeout = 600, safe_graphics = true`, 1)
	first, second := filepath.Join(s.dir, "first.tar"), filepath.Join(s.dir, "second.tar")
	s.smallTar(t, first, smallStart+goodEnd)
	s.smallTar(t, second, smallStart+"echo lab: the second\n"+goodEnd)
	disk := s.disk(t, lab.DiskOptions{SizeMB: 1024})
	s.publishSmall(t, disk, fleet, first)
	good := s.chosen(t, disk, "")
	if !strings.Contains(good, " gitboot.trying=1 ") || strings.Contains(good, "nomodeset") {
		t.Errorf("the first boot's options are %s", good)
	}

	s.publishSmall(t, disk, fleet, second)
	block, boots := s.remembered(t, disk)
	const last = "\x05" // Ctrl-E goes to the menu's end
	safe := s.chosen(t, disk, last)
	if deploymentOf(safe) != deploymentOf(good) || !strings.Contains(safe, " nomodeset ") || strings.Contains(safe, "gitboot.trying") {
		t.Errorf("the safe boot's options are\n%s\nthose of what is good\n%s", safe, good)
	}
	if after, now := s.remembered(t, disk); !bytes.Equal(after, block) || now != boots {
		t.Errorf("the boot was counted, or judged: %d records, had %d, and the block is\n%s\nit was\n%s", now, boots, after, block)
	}
	trial := s.chosen(t, disk, "")
	if deploymentOf(trial) == deploymentOf(good) || !strings.Contains(trial, " gitboot.trying=1 ") {
		t.Errorf("the last boot's options are %s", trial)
	}
	entry := regexp.MustCompile(deployment.ParamEntry + `=(\S+)`).FindStringSubmatch(trial)
	if after, _ := s.remembered(t, disk); entry == nil || !bytes.Contains(after, []byte("gitboot_good="+entry[1]+"\n")) {
		t.Errorf("what was on trial is not good: %s", after)
	}
}

func deploymentOf(options string) string {
	return regexp.MustCompile(deployment.ParamDeployment + `=[0-9a-f]{64}`).FindString(options)
}

// chosen types keys into GRUB's menu, and a return, and gives the kernel's options of what
// has booted then, and ended.
func (s *site) chosen(t *testing.T, disk *lab.Disk, keys string) (options string) {
	t.Helper()
	menu := &prompt{question: []byte("to select which entry is highlighted"), asked: make(chan struct{}, 8)}
	vm := s.start(t, lab.VMOptions{Disk: disk.Path, Firmware: lab.BIOS, Console: menu})
	s.typeIn(t, vm, menu, keys)
	m, err := vm.WaitFor(s.ctx, regexp.MustCompile(`lab: (BOOT_IMAGE=.*)`))
	if err != nil {
		t.Fatal(err)
	}
	s.follow(t, vm, `Power down`)
	if err := vm.Wait(s.ctx); err != nil {
		t.Fatal(err)
	}
	t.Log(m.Groups[1])
	return m.Groups[1]
}

// remembered is GRUB's block on the stage, and how many records of boots there are.
func (s *site) remembered(t *testing.T, disk *lab.Disk) (block []byte, boots int) {
	t.Helper()
	s.look(t, disk, func(mnt string) (err error) {
		if block, err = os.ReadFile(filepath.Join(mnt, "gitboot", deployment.BlockFile)); err != nil {
			return err
		}
		all, err := deployment.ReadBoots(filepath.Join(mnt, "gitboot"))
		boots = len(all)
		return err
	})
	return block, boots
}
