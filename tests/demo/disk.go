package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gitboot/gitboot/tests/lab"
)

// diskSteps are those of the other demo: the config repo becomes a disk that boots by
// itself, with nothing on it that is not signed.
func (d *demo) diskSteps() []step {
	return []step{
		{"build gitboot", d.build},
		{"root file system", d.makeRootFS},
		{"choose KVM or emulation", d.chooseAccel},
		{"push it as an image", d.push},
		{"config repo", d.makeSecureConfig},
		{"gitboot keys create", d.makeKeys},
		{"gitboot disk image", d.makeImage},
		{"first boot", d.enrol},
	}
}

// makeSecureConfig has the example boot by systemd-boot, signed and verified.
func (d *demo) makeSecureConfig(ctx context.Context) (string, error) {
	if _, err := d.makeConfig(ctx); err != nil {
		return "", err
	}
	const more = "\n[machine.laptop.boot]\nloader      = \"systemd-boot\"\nsecure_boot = true\nmode        = \"managed\"\n"
	if err := d.repo.Replace("gitboot.toml", "insecure = true", "insecure = true\nverity = \"enforce\""); err != nil {
		return "", err
	}
	const vars = `vars               = { hostname = "laptop", home = "LABEL=home" }`
	if err := d.repo.Replace("machines/laptop.toml", vars, vars+"\n"+more); err != nil {
		return "", err
	}
	hash, err := d.repo.Commit(ctx, "Have all that boots be signed")
	fmt.Println("    " + strings.ReplaceAll(strings.TrimSpace(more), "\n", "\n    "))
	return "examples/laptop, and that, as commit " + short(hash), err
}

func (d *demo) makeKeys(ctx context.Context) (string, error) {
	return "of this disk's own", d.gitbootSays(ctx, "keys", "create", "--keys", "keys", "--machine", "laptop")
}

const diskFile = "laptop.img"

func (d *demo) makeImage(ctx context.Context) (string, error) {
	if err := d.gitbootSays(ctx, "disk", "image", "laptop", "--repo", filepath.Base(d.repo.Dir), "--keys", "keys", "--enroll", "-o", diskFile); err != nil {
		return "", err
	}
	return "ESP with systemd-boot, ext4", nil
}

// gitbootSays runs gitboot as a user would, in the folder that holds the config repo.
func (d *demo) gitbootSays(ctx context.Context, args ...string) error {
	fmt.Println("    $ gitboot", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, d.gitboot, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("gitboot %s: %w", args[0], err)
	}
	return nil
}

// enrol starts the disk in a machine whose firmware trusts nobody yet. It is told to
// trust the disk's keys, and starts again.
func (d *demo) enrol(ctx context.Context) (string, error) {
	told := []fact{
		{regexp.MustCompile(`(Enrolling secure boot keys)`), "Enrolling secure boot keys"},
		{regexp.MustCompile(`UEFI Secure Boot is (enabled)`), "enabled"},
	}
	up, err := d.start(ctx, lab.VMOptions{Disk: filepath.Join(d.dir, diskFile), Firmware: lab.SetupUEFI}, append(told, facts("laptop")...))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("the firmware took the keys, and laptop came up signed in %.1f s", last(up).Seconds()), nil
}
