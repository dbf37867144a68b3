package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gitboot/gitboot/tests/lab"
)

// installSteps are those of the third demo: the config repo becomes a medium, which
// installs a machine with nobody there.
func (d *demo) installSteps() []step {
	return []step{
		{"build gitboot", d.build},
		{"root file system", d.makeRootFS},
		{"choose KVM or emulation", d.chooseAccel},
		{"push it as an image", d.push},
		{"config repo", d.makeConfig},
		{"install.toml", d.answer},
		{"gitboot disk iso", d.makeMedium},
		{"a machine with a blank disk", d.install},
	}
}

// answers is what somebody would be asked who stood before the machine.
const answers = `#gitboot-install
erase = true
size  = ">=10GB"
`

const answersFile = "install.toml"

func (d *demo) answer(context.Context) (string, error) {
	fmt.Println("    " + strings.ReplaceAll(strings.TrimSpace(answers), "\n", "\n    "))
	return "which disk is meant, and that all on it may be lost", os.WriteFile(filepath.Join(d.dir, answersFile), []byte(answers), 0o600)
}

const mediumFile = "laptop.iso"

func (d *demo) makeMedium(ctx context.Context) (string, error) {
	if err := d.gitbootSays(ctx, "disk", "iso", "laptop", "--repo", filepath.Base(d.repo.Dir), "--answers", answersFile, "-o", mediumFile); err != nil {
		return "", err
	}
	return "for CD or stick, BIOS or UEFI", nil
}

// install starts a machine from the medium, which installs it and restarts it.
func (d *demo) install(ctx context.Context) (string, error) {
	disk := filepath.Join(d.dir, "blank.img")
	if err := blank(disk, 12<<30); err != nil {
		return "", err
	}
	told := []fact{
		{regexp.MustCompile(`(/dev/\w+: boots laptop) at revision`), "/dev/vda: boots laptop"},
		{regexp.MustCompile(`(reboot, as the answers say)`), "reboot, as the answers say"},
	}
	told = append(told, facts("laptop")...)
	told = append(told, fact{regexp.MustCompile(`(laptop ttyS0)`), "laptop ttyS0"}) // what getty says before it asks who logs in
	at, err := d.start(ctx, lab.VMOptions{Disk: disk, Stick: filepath.Join(d.dir, mediumFile), Firmware: lab.UEFI}, told)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("installed %.1f s after power-on, %.1f s later it asked from its disk who logs in", at[1].Seconds(), (last(at) - at[1]).Seconds()), nil
}

// blank makes a disk with nothing on it, which takes no room.
func blank(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
