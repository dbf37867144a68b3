package diskboot

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// built is arm64 with an image that is built here.
func built() string {
	return strings.Replace(arm64, "archive     = \"ARCHIVE\"\n", "", 1) + `
[image.small.build]
from = "archive:ARCHIVE"
run  = ['/bin/busybox sed -i "s/started/was built on $(/bin/busybox uname -m)/" /etc/rc']
`
}

// foreign has a disk of a machine of another architecture made, whose image is built here
// by steps that only an interpreter can execute.
func foreign(t *testing.T, config string, small func(ctx context.Context, path, start string) error, size string) *site {
	t.Helper()
	s := newSiteOf(t, config, small)
	must(t, lab.BuildInit(s.ctx, filepath.Dir(s.program), "arm64"))
	s.run(t, "", "chown", "-R", "0", s.dir) // who builds is root
	cmd := exec.CommandContext(s.ctx, s.program, "disk", "image", "small", "-o", filepath.Join(s.dir, "a.img"), "--size", size, "--stage", filepath.Join(s.dir, "stage"), "--repo", filepath.Join(s.dir, "repo"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir, "HOME=" + s.dir}
	must(t, lab.ExecutesARM64(cmd))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return s
}

// What steps for another architecture have made is on the stage, as they made it.
func TestForeignBuild(t *testing.T) {
	s := foreign(t, built(), lab.SmallARM64, "400MB")
	objects, err := filepath.Glob(filepath.Join(s.dir, "stage/objects/sha256/*"))
	must(t, err)
	for _, o := range objects {
		out, err := exec.CommandContext(s.ctx, "unsquashfs", "-cat", o, "etc/rc").Output()
		if err == nil && strings.Contains(string(out), "was built on aarch64") {
			return
		}
	}
	t.Errorf("no layer of %d objects has what the step wrote", len(objects))
}
