package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/disk/layout"
)

const architectures = `
[image.pulled]
pull = "r.lan/pulled:1"
[image.file]
archive = "/srv/root.tar"
[image.other]
pull     = "r.lan/other:1"
platform = "linux/amd64"
[image.variant]
pull     = "r.lan/variant:1"
platform = "linux/arm64/v8"
[image.base.build]
from = "archive:/srv/base.tar"
run  = ["true"]
[image.built.build]
from = "image:base"
run  = ["true"]
[profile.board]
arch = "arm64"
[profile.board.disk]
size = ">=8GB"
[machine.board]
profiles = ["board"]
images   = ["pulled", "file", "variant", "built"]
[machine.any]
images = ["pulled", "file", "other", "built"]
[machine.wrong]
profiles = ["board"]
images   = ["other"]
`

// What says no platform is of the machine's, and stays as it was without one.
func TestArchitecture(t *testing.T) {
	w := mustResolve(t, architectures, "board")
	const own = "linux/arm64"
	built := w.Images[3].Build
	for what, got := range map[string]string{
		"pulled": w.Images[0].Pull.Platform, "file": w.Images[1].Archive.Platform, "built": built.Platform, "its base": built.Base.Build.Platform,
		"the base's file": built.Base.Build.FromArchive.Platform, "pulled for it": built.Pulled.Platform,
	} {
		if got != own {
			t.Errorf("%s is for %q", what, got)
		}
	}
	if got := w.Images[2].Pull.Platform; got != own+"/v8" {
		t.Errorf("what has a platform is for %q", got)
	}
	if w.Arch != layout.ARM64 || layout.Find(place(t, w.Disk), layout.BIOS) != nil {
		t.Errorf("%s, %+v", w.Arch, w.Disk)
	}
	w = mustResolve(t, architectures, "any")
	if p := w.Images[0].Pull.Platform + w.Images[1].Archive.Platform + w.Images[3].Build.Platform; p != "" || w.Arch != "" {
		t.Errorf("without an architecture images are for %q", p)
	}
	f, err := Load(t.Context(), repo(architectures))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Resolve(t.Context(), "wrong")
	if want := `images = "other": is for the platform linux/amd64, and machine wrong has arch = "arm64"; leave platform out`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got %v", want, err)
	}
}

// What U-Boot would put a variable's value in place of is refused before it is staged, for
// machines that it starts.
func TestMacros(t *testing.T) {
	const fleet = "[image.a]\npull = \"a\"\nkernel_args = [\"ip=${ip}\"]\n[machine.m]\nimages = [\"a\"]\n"
	mustResolve(t, fleet, "m")
	f, err := Load(t.Context(), repo(fleet+"boot = { loader = \"extlinux\" }\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Resolve(t.Context(), "m")
	if want := `its kernel arguments on machine m have "ip=${ip}", which U-Boot takes for the name of a variable; write it without`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got %v", want, err)
	}
}

// What a Raspberry Pi's firmware boots is arm64, has no menu, and is tried once.
func TestRaspberryPi(t *testing.T) {
	const fleet = "[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\n"
	w := mustResolve(t, fleet+"arch = \"arm64\"\nboot = { loader = \"rpi\", mode = \"managed\" }\n", "m")
	if w.Boot.Tries != 1 {
		t.Errorf("it is tried %d times", w.Boot.Tries)
	}
	f, err := Load(t.Context(), repo(fleet+"boot = { loader = \"rpi\", tries = 3, timeout = 5 }\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Resolve(t.Context(), "m")
	for _, want := range []string{`is no arm64; write arch = "arm64" for it`, "tries what is new once; leave boot.tries out", "shows no menu; leave boot.timeout out"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// An entry without graphics drivers is for menus of plain entries.
func TestSafeGraphics(t *testing.T) {
	const fleet = "[image.a]\npull = \"a\"\n[machine.m]\nimages = [\"a\"]\narch = \"arm64\"\n"
	if w := mustResolve(t, fleet+"boot = { safe_graphics = true }\n", "m"); !w.Boot.SafeGraphics {
		t.Error("it is not wanted")
	}
	for declared, want := range map[string]string{
		`loader = "systemd-boot", secure_boot = true`: "there is none with secure_boot = true; leave it out, and declare another image",
		`loader = "rpi"`: `there is none with loader = "rpi"`,
	} {
		f, err := Load(t.Context(), repo(fleet+"boot = { safe_graphics = true, "+declared+" }\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.Resolve(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", declared, err)
		}
	}
}

// Who signs what a machine boots knows of it, and signs nothing that lies in no registry.
func TestSignedBy(t *testing.T) {
	const fleet = "[image.a]\npull = \"a\"\n[image.b.build]\nfrom = \"a\"\n[profile.p.boot]\nloader = \"systemd-boot\"\nsecure_boot = true\nsigned_by = \"n\"\n[machine.n]\nimages = [\"b\"]\n[machine.m]\nimages = [\"%s\"]\nprofiles = [\"p\"]\n[machine.l]\nimages = [\"a\"]\nprofiles = [\"p\"]\n"
	if w := mustResolve(t, fmt.Sprintf(fleet, "a"), "n"); !slices.Equal(w.Signs, []string{"l", "m"}) || w.Boot.SignedBy != "" {
		t.Errorf("%q %q", w.Signs, w.Boot.SignedBy)
	}
	if w := mustResolve(t, fmt.Sprintf(fleet, "a"), "m"); w.Boot.SignedBy != "n" || len(w.Signs) > 0 {
		t.Errorf("%q %q", w.Boot.SignedBy, w.Signs)
	}
	for config, want := range map[string]string{
		fmt.Sprintf(fleet, "b"): `comes from no registry, and machine m boots what machine n has signed`,
		fmt.Sprintf(fleet, "a") + "[machine.m.boot]\nsecure_boot = false\n": `boot.signed_by of machine m is for what boots signed`,
	} {
		f, err := Load(t.Context(), repo(config))
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.Resolve(t.Context(), "m"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func place(t *testing.T, d *layout.Disk) []layout.Placed {
	t.Helper()
	placed, err := layout.Place(d.Partitions, 8e9, "seed")
	if err != nil {
		t.Fatal(err)
	}
	return placed
}
