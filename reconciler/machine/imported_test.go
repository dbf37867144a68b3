package machine

import (
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
)

// An import is as hostile as who wrote it: what a config repo is refused, it is
// refused too.
func TestImportsAreJudgedAsConfigsAre(t *testing.T) {
	object := deployment.Object{SHA256: strings.Repeat("0", 64), Size: 1}
	fs := boot.Filesystem{UUID: "0a1b2c3d-4e5f-6789-abcd-ef0123456789", Type: "ext4", Path: "/gitboot", Assembly: "luks:0a1b2c3d-4e5f-6789-abcd-ef0123456789"}
	for name, test := range map[string]struct {
		change func(*deployment.Manifest)
		want   string // "" is accepted
	}{
		"good":                {func(m *deployment.Manifest) {}, ""},
		"a newline in a name": {func(m *deployment.Manifest) { m.Image = "a\nb" }, "is not a name"},
		"a path as a name":    {func(m *deployment.Manifest) { m.Image = "../a" }, "is not a name"},
		"another deployment":  {func(m *deployment.Manifest) { m.KernelArgs = []string{"gitboot.deployment=" + object.SHA256} }, "set by gitboot itself"},
		"in quotes":           {func(m *deployment.Manifest) { m.KernelArgs = []string{`"gitboot.stage=UUID=x:/y"`} }, "set by gitboot itself"},
		"two in one":          {func(m *deployment.Manifest) { m.KernelArgs = []string{"quiet gitboot.shell=1"} }, "more than one argument"},
		"hiding the others":   {func(m *deployment.Manifest) { m.KernelArgs = []string{"--"} }, "hide"},
		"an unknown one":      {func(m *deployment.Manifest) { m.KernelArgs = []string{"gitboot.secret=1"} }, "no parameter that gitboot knows"},
		"too many":            {func(m *deployment.Manifest) { m.KernelArgs = strings.Fields(strings.Repeat("argument ", 300)) }, "bytes"},
		"an option of mount":  {func(m *deployment.Manifest) { m.Root.TmpfsSize = "1m,mode=0777" }, "is not a size"},
		"a program at boot":   {func(m *deployment.Manifest) { m.AtBoot = []string{"/usr/bin/rm"} }, "none of a hook's"},
		"a version's path":    {func(m *deployment.Manifest) { m.KernelVersion = "../../etc" }, "no folder's name"},
		"of a plain disk":     {func(m *deployment.Manifest) { m.Assembles = []string{"lvm"} }, "cannot put together luks"},
		"an endless object":   {func(m *deployment.Manifest) { m.Layers[0].Size = 1 << 62 }, "impossible size"},
	} {
		t.Run(name, func(t *testing.T) {
			m := &deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: object, Initramfs: object, KernelVersion: "6.1.0-1-amd64",
				KernelArgs: []string{"quiet"}, Layers: []deployment.Object{object}, Hooks: &object,
				AtBoot: []string{"/usr/lib/gitboot/at-boot/01-clock"}, Root: deployment.Root{TmpfsSize: "50%"}, Assembles: []string{"luks", "lvm"}}
			test.change(m)
			err := checkImported(object.SHA256, m, "laptop", fs)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}
