package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot/efivar"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/secured"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

// While Secure Boot is on, a kernel without a signature is told of, and one with a
// signature is well; Debian's shim, which has one, stands for a kernel.
func TestKernelsThatAShimRefuses(t *testing.T) {
	const signed = "/usr/lib/shim/shimx64.efi.signed"
	data, err := os.ReadFile(signed)
	need.Done(t, err)
	for name, c := range map[string]struct {
		on     byte
		kernel []byte
		want   Verdict
		says   string
	}{
		"off":      {0, []byte("MZ"), OK, "it is off"},
		"signed":   {1, data, OK, "is signed"},
		"unsigned": {1, []byte("MZ"), Fail, "is not signed"},
	} {
		t.Run(name, func(t *testing.T) {
			vars := efivar.Folder(t.TempDir())
			need.Done(t, os.WriteFile(filepath.Join(string(vars), "SecureBoot-"+efivar.Global), []byte{6, 0, 0, 0, c.on}, 0o600))
			p := Patient{Config: reconciler.Config{Stage: stageOf(t, c.kernel)}, Variables: vars}
			v, done := p.visit(t.Context())
			defer done()
			found := checkSecureBoot(t.Context(), v)
			if len(found) != 1 || found[0].Verdict != c.want || !strings.Contains(found[0].Message, c.says) {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// Where programs are signed, each that the firmware would not start is told of, and that
// none is found.
func TestProgramsThatTheFirmwareRefuses(t *testing.T) {
	good, bad := secured.Program{Path: "/efi/EFI/BOOT/BOOTX64.EFI", By: "db of laptop"}, secured.Program{Path: "/efi/gitboot/1", Wrong: "it is not signed"}
	for name, c := range map[string]struct {
		status secured.Status
		want   Verdict
		says   string
	}{
		"all":     {secured.Status{Programs: []secured.Program{good, good}}, OK, "trusts all 2 programs"},
		"one":     {secured.Status{Programs: []secured.Program{good, bad}}, Fail, "does not start /efi/gitboot/1: it is not signed"},
		"nothing": {secured.Status{Unfound: errors.New("there is no systemd-boot")}, Warn, "there is no systemd-boot"},
	} {
		found := checkStarted(c.status)
		if len(found) != 1 || found[0].Verdict != c.want || !strings.Contains(found[0].Message, c.says) {
			t.Errorf("%s: %+v", name, found)
		}
	}
}

// stageOf has an image with this kernel, and no more of it.
func stageOf(t *testing.T, kernel []byte) (dir string) {
	t.Helper()
	dir = t.TempDir() + "/stage"
	st, err := stage.Create(dir)
	need.Done(t, err)
	lock, err := st.Lock(t.Context(), false)
	need.Done(t, err)
	object, err := st.AddFile(t.Context(), strings.NewReader(string(kernel)))
	need.Done(t, err)
	id, err := st.Publish(&deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: object, Initramfs: object, KernelVersion: "6.1", Layers: []deployment.Object{object}})
	need.Done(t, err)
	need.Done(t, lock.Release())
	doc := &state.Machine{Version: state.Version, Order: []string{"desktop"}, Images: map[string]*state.Image{"desktop": {Generations: []state.Generation{{N: 1, Deployment: id}}}}}
	need.Done(t, doc.Save(dir, nil))
	return dir
}
