//go:build long

package diskboot

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

const liveConfig = `[image.tiny]
archive     = "ARCHIVE"
kernel_args = ["console=ttyS0", "loglevel=5", "no_timer_check"]
RAM

[machine.small]
images = ["tiny"]
hooks  = ["hostname"]
`

// liveStart tells what has started, and how it is called.
const liveStart = `#!/bin/sh
exec >/dev/console
read -r options </proc/cmdline
echo "lab: $options"
echo "lab: \"$(cat /etc/hostname 2>/dev/null)\" is up"
poweroff
`

// An image boots from a medium of it alone, and from memory. Of no machine, it has no
// hooks.
func TestLongLive(t *testing.T) {
	for how, declared := range map[string]string{"from the medium": "", "in memory": "copy_to_ram = true"} {
		t.Run(how, func(t *testing.T) {
			s := newSiteOf(t, strings.Replace(liveConfig, "RAM", declared, 1), func(ctx context.Context, path, _ string) error {
				return lab.Small(ctx, path, liveStart)
			})
			if out, err := s.command("disk", "iso", "tiny", "-o", "tiny.iso").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			out, err := s.command("vm", "./tiny.iso", "--firmware", "uefi", "--memory", "512MB", "--timeout", "2m").CombinedOutput()
			if err != nil || !regexp.MustCompile(`lab: BOOT_IMAGE=\S*/gitboot/objects/.* gitboot.deployment=`).Match(out) || !strings.Contains(string(out), "lab: \"\" is up") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// installStart has a system that runs from memory install a machine on what it was
// started from.
const installStart = `#!/bin/sh
exec >/dev/console 2>&1
echo "lab: mounted: $(grep -c vda /proc/mounts)"
gitboot install /dev/vda --machine small --repo / --yes
echo "lab: it ended with $?"
poweroff
`

// The medium that a system in memory was started from is not taken for a disk, though
// nothing of it is mounted any more.
func TestLongMediumIsRefused(t *testing.T) {
	s := newSiteOf(t, strings.Replace(liveConfig, "RAM", "copy_to_ram = true", 1), func(ctx context.Context, path, _ string) error {
		program, err := lab.Build(ctx, t.TempDir())
		if err == nil {
			err = lab.Small(ctx, path, installStart)
		}
		if err == nil {
			_, err = lab.Run(ctx, "tar", "--append", "--file", path, "--transform", "s,^,bin/,", "-C", filepath.Dir(program), filepath.Base(program))
		}
		return err
	})
	if out, err := s.command("disk", "iso", "tiny", "-o", "tiny.iso").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.says(t, []string{`lab: mounted: 0`, `/dev/vda is what this system was started from, which runs from memory: .* has its stage; take another disk`, `lab: it ended with 2`}, "tiny.iso", "uefi")
}
