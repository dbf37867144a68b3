package diskboot

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/disk/gpt"
)

const answers = `#gitboot-install
erase = true
size  = ">=400MB"
`

// iso makes an installation medium.
func (s *site) iso(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.command(append([]string{"disk", "iso", "small", "-o", "small.iso", "--size", "400MB", "--stage", filepath.Join(s.dir, "stage")}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out[strings.LastIndex(strings.TrimSpace(string(out)), "\n")+1:])
	return filepath.Join(s.dir, "small.iso")
}

// blank is a disk with nothing on it.
func (s *site) blank(t *testing.T) string {
	t.Helper()
	disk := filepath.Join(s.dir, "disk")
	f, err := os.Create(disk)
	must(t, err)
	must(t, f.Truncate(600<<20))
	must(t, f.Chown(nobody, nobody))
	must(t, f.Close())
	return disk
}

// A machine that starts from a stick installs itself with nobody there, restarts, and
// boots from its disk, which has grown and counts the boot.
func TestDiskISO(t *testing.T) {
	s := newSite(t)
	must(t, os.WriteFile(filepath.Join(s.dir, "install.toml"), []byte(answers), 0o644))
	s.installs(t, s.iso(t, "--answers", "install.toml"), "uefi")
}

func (s *site) installs(t *testing.T, stick string, firmware string) {
	t.Helper()
	disk := s.blank(t)
	began := time.Now()
	out, err := s.command("vm", "./disk", "--cdrom", stick, "--keep", "disk", "--firmware", firmware, "--memory", "512MB", "--timeout", "3m").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s: %.1f s", firmware, time.Since(began).Seconds())
	said := out
	for _, line := range []string{`/dev/vda: boots small at revision .*`, `reboot, as the answers say`, `lab: BOOT_IMAGE=\S*/gitboot/objects/.* gitboot.trying=1`, `lab: small started`} {
		at := regexp.MustCompile(line).FindIndex(said)
		if at == nil {
			t.Fatalf("%s does not say %q:\n%s", firmware, line, out)
		}
		said = said[at[1]:]
	}
	s.run(t, "No problems found", "sgdisk", "-v", disk)
	at, size := stageOf(t, disk)
	if left := s.read(t, at, "/gitboot/boot/gitboot.env"); !strings.Contains(left, "gitboot_left=2\n") {
		t.Errorf("a boot was not counted: %.300s", left)
	}
	s.run(t, "", "e2fsck", "-fn", at)
	s.run(t, fmt.Sprintf("Block count:              %d\n", size/4096), "dumpe2fs", "-h", at)
}

// stageOf is where the stage is on a disk, as programs of e2fsprogs are told, and how
// large its partition is.
func stageOf(t *testing.T, disk string) (at string, size int64) {
	t.Helper()
	f, err := os.Open(disk)
	must(t, err)
	defer f.Close()
	info, err := f.Stat()
	must(t, err)
	table, err := gpt.Read(f, info.Size())
	must(t, err)
	for _, p := range table.Partitions {
		if p.Name == "stage" {
			return disk + "?offset=" + strconv.FormatInt(p.Start, 10), p.Length
		}
	}
	t.Fatal("there is no stage")
	return "", 0
}
