//go:build long

package vm

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// twoFleet is the small machine with another image beside.
const twoFleet = smallFleet + `
[image.other]
archive = "OTHER"
`

// Ten commits in a row whose kernel ends: each is tried once, each time what was good is
// back by itself, and none is tried again. Of two images that come at once the bad one
// gives way, and the other boots when it is asked for. Who rolls back by hand has what was
// there before. A menu that is garbage leaves the machine to the other system, and is
// written anew by the next run.
func TestLongTenBad(t *testing.T) {
	s := newEmptySite(t)
	tar := func(name, start string) string {
		archive := filepath.Join(s.dir, name+".tar")
		s.smallTar(t, archive, smallStart+"echo lab: this is "+name+"\n"+start)
		return archive
	}
	first, second, other := tar("first", goodEnd), tar("second", goodEnd), tar("other", "poweroff\n")
	disk := s.disk(t, lab.DiskOptions{OtherSystem: true})
	const trying, known, off = `lab: .*gitboot.trying=1 `, `lab: .*gitboot.machine=small panic=`, `Power down`
	s.publishSmall(t, disk, smallFleet, first)
	s.expect(t, disk, lab.UEFI, trying, `lab: this is first`, off)

	for n := range 10 {
		s.publishSmall(t, disk, smallFleet, tar(fmt.Sprintf("bad%d", n), panicEnd))
		s.expect(t, disk, lab.UEFI, trying, fmt.Sprintf(`lab: this is bad%d`, n), `Kernel panic`, known, `lab: this is first`, off)
		s.run(t, disk, "small", "reconcile", "--once")
	}
	if out, _ := s.runs(t, disk, "small", "status"); !regexp.MustCompile(`small +11 .*bad`).MatchString(out) {
		t.Errorf("the status does not say what is bad:\n%s", out)
	}
	s.expect(t, disk, lab.UEFI, known, `lab: this is first`, off)

	two := strings.NewReplacer("OTHER", other, `["small"]`, `["small", "other"]`).Replace(twoFleet)
	s.publishSmall(t, disk, two, tar("worse", panicEnd))
	s.expect(t, disk, lab.UEFI, trying, `lab: this is worse`, `Kernel panic`, `lab: this is first`, off)
	s.run(t, disk, "small", "boot", "next", "other")
	s.expect(t, disk, lab.UEFI, `lab: this is other`, off)

	s.publishSmall(t, disk, two, second)
	s.expect(t, disk, lab.UEFI, trying, `lab: this is second`, off)
	s.run(t, disk, "small", "reconcile", "--once")
	s.run(t, disk, "small", "boot", "rollback")
	s.expect(t, disk, lab.UEFI, known, `lab: this is first`, off)

	s.look(t, disk, func(mnt string) error {
		return os.WriteFile(filepath.Join(mnt, "gitboot/boot/gitboot.cfg"), []byte("\x00}}{ if menuentry"), 0o600)
	})
	s.expect(t, disk, lab.UEFI, `lab: the other system was booted`)
	if out := s.run(t, disk, "small", "reconcile", "--once"); !strings.Contains(out, "gitboot.cfg") {
		t.Errorf("that the menu was changed is not told:\n%s", out)
	}
	s.expect(t, disk, lab.UEFI, known, `lab: this is first`, off)
}
