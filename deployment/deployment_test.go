package deployment

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func object(c string) Object { return Object{SHA256: strings.Repeat(c, 64), Size: 4096} }

func manifest() *Manifest {
	hooks := object("c")
	return &Manifest{
		Version: Version, Image: "desktop", Kernel: object("1"), Initramfs: object("2"), KernelVersion: "6.1.0-9-amd64",
		KernelArgs: []string{"quiet", "a=<b> & c"}, Layers: []Object{object("a"), object("b"), object("a")}, Hooks: &hooks,
		AtBoot: []string{"/usr/lib/gitboot/at-boot/10-x"}, Root: Root{TmpfsSize: "2g", CopyToRAM: true},
	}
}

func TestManifestRoundTrip(t *testing.T) {
	data, err := manifest().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseManifest(data, ID(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(manifest(), got); diff != "" {
		t.Error(diff)
	}
	again, err := got.Canonical()
	if err != nil || string(again) != string(data) {
		t.Errorf("the canonical form is not stable: %v", err)
	}
}

// The canonical form decides every deployment's id: a change of it stages all
// machines anew, and must be meant.
func TestManifestID(t *testing.T) {
	data, err := manifest().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	const want = "d3d4585041a90a2b"
	if got := ID(data)[:16]; got != want {
		t.Errorf("id begins with %s, want %s; content:\n%s", got, want, data)
	}
}

// Layers may be verified, each by a tree of its own, which is an object as any.
func TestVerity(t *testing.T) {
	m := manifest()
	if m.Tree(0) != nil {
		t.Error("a tree comes from nowhere")
	}
	root := strings.Repeat("e", 64)
	m.Verity = &Verity{Mode: VerityEnforce, Trees: []Tree{{root, object("4")}, {root, object("5")}, {root, object("4")}, {root, object("6")}}}
	data, err := m.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseManifest(data, ID(data))
	if err != nil || cmp.Diff(m, got) != "" {
		t.Error(err, cmp.Diff(m, got))
	}
	if len(m.Objects()) != 8 || m.Tree(3).SHA256 != object("6").SHA256 || m.Squashed()[3] != *m.Hooks {
		t.Errorf("%v", m.Objects())
	}
	for name, spoil := range map[string]func(*Verity){
		"mode":    func(v *Verity) { v.Mode = "off" },
		"one":     func(v *Verity) { v.Trees = v.Trees[1:] },
		"root":    func(v *Verity) { v.Trees[0].Root = "" },
		"a tree":  func(v *Verity) { v.Trees[0].SHA256 = "x" },
		"no tree": func(v *Verity) { v.Trees = nil },
	} {
		bad := *m.Verity
		bad.Trees = append([]Tree{}, bad.Trees...)
		spoil(&bad)
		if _, err := (&Manifest{Version: 1, Image: "x", Kernel: m.Kernel, Initramfs: m.Initramfs, Layers: m.Layers, Hooks: m.Hooks, Verity: &bad}).Canonical(); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
}

func TestManifestRefuses(t *testing.T) {
	good, err := manifest().Canonical()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseManifest(append(good, ' '), ID(good)); err == nil {
		t.Error("another content than the id's is taken")
	}
	for name, spoil := range map[string]func(*Manifest){
		"version":   func(m *Manifest) { m.Version = 2 },
		"image":     func(m *Manifest) { m.Image = "" },
		"layers":    func(m *Manifest) { m.Layers = nil },
		"hash":      func(m *Manifest) { m.Kernel.SHA256 = "../../etc/passwd" },
		"size":      func(m *Manifest) { m.Initramfs.Size = 0 },
		"script":    func(m *Manifest) { m.AtBoot = []string{"relative"} },
		"unclean":   func(m *Manifest) { m.AtBoot = []string{"/a/../b"} },
		"zfs":       func(m *Manifest) { m.Assembles = []string{"lvm", "zfs"} },
		"twice":     func(m *Manifest) { m.Assembles = []string{"lvm", "lvm"} },
		"uppercase": func(m *Manifest) { m.Layers[0].SHA256 = strings.Repeat("A", 64) },
	} {
		m := manifest()
		spoil(m)
		if _, err := m.Canonical(); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	for name, text := range map[string]string{
		"unknown field": strings.Replace(string(good), `"image"`, `"imago"`, 1),
		"not JSON":      "{",
	} {
		if _, err := ParseManifest([]byte(text), ""); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestObjectsAreListedOnce(t *testing.T) {
	m := manifest()
	before := len(m.Layers)
	if got := m.Objects(); len(got) != 5 || got[0] != object("a") || got[4] != object("2") {
		t.Errorf("objects are %v", got)
	}
	if len(m.Layers) != before || m.Layers[2] != object("a") {
		t.Error("listing the objects changed the layers")
	}
}

func cmdline() Cmdline {
	return Cmdline{
		Stage: Location{Device: "UUID=0a1b-2c3d", Path: "/srv/gitboot"}, Deployment: strings.Repeat("d", 64),
		Machine: "laptop", Trying: true, Shell: true, RAM: true, Live: true, Wait: 90, Via: ViaKexec,
		Entry: "gitboot-desktop-dddddddddddddddd", Fallback: "gitboot-desktop-cccccccccccccccc", Block: Location{Device: "UUID=12AB-34CD", Path: "/grub/gitboot/gitboot.env"},
		Assembly: NewAssembly(Step{AssembleRAID, someUUID, ""}), Unlock: "keyfile:LABEL=stick:/key,timeout:30",
	}
}

func TestCmdlineRoundTrip(t *testing.T) {
	text := "BOOT_IMAGE=/x ro " + strings.Join(cmdline().Args(), " ") + " quiet -- gitboot.wait=1\n"
	got, ignored, err := ParseCmdline(text)
	if err != nil || len(ignored) > 0 || got != cmdline() {
		t.Errorf("%+v, %v, %v", got, ignored, err)
	}
}

func TestCmdlineRefuses(t *testing.T) {
	good := strings.Join(cmdline().Args(), " ")
	for name, text := range map[string]string{
		"empty":         "",
		"no stage":      strings.Replace(good, "gitboot.stage", "gitboot.stag", 1),
		"no deployment": strings.Replace(good, "gitboot.deployment", "x", 1),
		"short id":      strings.Replace(good, "dddd", "", 1),
		"no path":       good + " gitboot.stage=UUID=1",
		"dots":          good + " gitboot.stage=UUID=1:/a/../b",
		"no device":     good + " gitboot.stage=UUID=:/a",
		"a scheme":      good + " gitboot.stage=nfs://host/a",
		"an assembly":   good + " gitboot.assemble=lvm:vg/lv",
	} {
		if c, _, err := ParseCmdline(text); err == nil {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
}

// A machine boots whatever an optional parameter says.
func TestCmdlineIgnores(t *testing.T) {
	want := cmdline()
	want.Wait, want.Shell, want.RAM, want.Trying, want.Entry, want.Block, want.Via, want.Unlock = 0, false, false, false, "", Location{}, "", ""
	good := strings.Join(want.Args(), " ")
	for _, bad := range []string{
		"gitboot.wait=3m", "gitboot.wait=-1", "gitboot.wait=", "gitboot.wait", "gitboot.wait=86401",
		"gitboot.wait=99999999999999999999", "gitboot.wait=7 gitboot.wait=x", `"gitboot.wait=3 m"`,
		"gitboot.shell=yes", "gitboot.ram=", "gitboot.trying=2", `"gitboot.entry=a b"`, "gitboot.entry=a;b", "gitboot.block=/dev/sda1", "gitboot.via=grub",
		"gitboot.unlock=tpm1", "gitboot.unlock=keyfile", "gitboot.unlock=tpm2,tpm2",
	} {
		got, ignored, err := ParseCmdline(good + " " + bad + " quiet")
		if err != nil || got != want || len(ignored) != 1 {
			t.Errorf("%s: %+v, ignored %v, %v", bad, got, ignored, err)
		}
	}
}

func TestFields(t *testing.T) {
	got := Fields("a  b=\"c d\" \"e f\"=g\th\n\"\"")
	if want := []string{"a", "b=c d", "e f=g", "h", ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What a boot loader is given as words, a kernel takes apart again.
func TestLine(t *testing.T) {
	words := []string{"gitboot.via=kexec", "a=b c", "quiet", "x=1"}
	if got := Fields(Line(words)); !reflect.DeepEqual(got, words) {
		t.Errorf("%q", got)
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(strings.Join(cmdline().Args(), " "))
	f.Add(`a="b c" gitboot.stage=LABEL=x:/`)
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := ParseCmdline(text)
		if err != nil {
			return
		}
		if c.Machine != "" && strings.ContainsAny(c.Machine, " \t\n\r\x00\"") {
			return // a name that spec refuses
		}
		if again, _, err := ParseCmdline(strings.Join(c.Args(), " ")); err != nil || again != c {
			t.Errorf("%+v becomes %+v, %v", c, again, err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	if good, err := manifest().Canonical(); err == nil {
		f.Add(good)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data, "")
		if err != nil {
			return
		}
		canonical, err := m.Canonical()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := ParseManifest(canonical, ID(canonical)); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
