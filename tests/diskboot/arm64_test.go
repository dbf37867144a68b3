package diskboot

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// arm64 is the same machine of another architecture.
const arm64 = `[image.small]
archive     = "ARCHIVE"
kernel_args = ["console=ttyAMA0", "loglevel=5"]

[machine.small]
arch   = "arm64"
images = ["small"]
hooks  = ["hostname"]
boot   = { mode = "managed", timeout = 0 }

[machine.small.disk]
partitions = [{ role = "esp", size = "40MB" }, { role = "stage", grow = true }]
`

// A disk of another architecture than this computer's is made by a user without rights,
// and boots by its UEFI.
func TestDiskARM64(t *testing.T) {
	s := newSiteOf(t, arm64, lab.SmallARM64)
	must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
	m, _ := s.image(t, "a.img")
	for _, p := range m.Partitions {
		if p.Role == "esp" {
			s.run(t, "BOOTAA64", "mdir", "-i", filepath.Join(s.dir, "a.img")+"@@"+strconv.FormatInt(p.Start, 10), "::/EFI/BOOT")
		}
	}
	s.boots(t, "a.img", "uefi") // which is seen to be for another machine
	if out, err := s.command("plan", "--machine", "small", "--stage", filepath.Join(s.dir, "other")).CombinedOutput(); err == nil || !strings.Contains(string(out), "gitboot disk image") {
		t.Errorf("this computer takes it for its own: %v\n%s", err, out)
	}
}
