package machine

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/formerdisk"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
)

// with makes an archive of a root file system with a kernel and these files.
func (h *house) with(t *testing.T, archive string, files map[string]string) {
	t.Helper()
	root := t.TempDir()
	must(t, os.Chmod(root, 0o755))
	must(t, lab.FakeKernel(root, "6.1.0-test", true))
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
	h.archive(t, archive, root)
}

func dpkg(packages ...string) map[string]string {
	var status strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return map[string]string{"var/lib/dpkg/status": status.String()}
}

// Which packages a generation changes is noted with it, and planned where the
// layers are known.
func TestPackagesAreNoted(t *testing.T) {
	h := newHouse(t)
	at := func(t *testing.T, n int) string {
		t.Helper()
		for _, g := range h.doc(t).Images["plain"].Generations {
			if g.N == n && g.Packages != nil {
				return g.Packages.String()
			}
		}
		return ""
	}
	h.with(t, "plain.tar", dpkg("a=1", "b=1"))
	if h.run(t, "1", oneImage); at(t, 1) != "" {
		t.Errorf("the first one changes %q", at(t, 1))
	}
	if h.run(t, "2", named("two")); at(t, 2) != "" {
		t.Errorf("a hook changes %q", at(t, 2))
	}
	h.with(t, "plain.tar", dpkg("a=2", "b=1", "c=1"))
	_, done, _ := h.run(t, "3", named("two"))
	if got := at(t, 3); !strings.Contains(got, "a 1 → 2") || !strings.Contains(got, "c") {
		t.Errorf("it changes %q", got)
	}
	for _, act := range done {
		if act.Kind == plan.AddDeployment && act.Packages != at(t, 3) && act.Packages != "" {
			t.Errorf("the record has %q", act.Packages)
		}
	}
	// What is on the stage already is compared before anything is done: back to
	// the image before.
	h.with(t, "plain.tar", dpkg("a=1", "b=1"))
	printed, _, _ := h.run(t, "4", named("two"))
	if printed[0].Kind != plan.AddDeployment || !strings.Contains(printed[0].Packages, "a 2 → 1") {
		t.Errorf("printed %+v", printed)
	}
}

// A generation whose packages cannot be compared is one all the same.
func TestPackagesAreNotKnown(t *testing.T) {
	h := newHouse(t)
	h.with(t, "plain.tar", dpkg("a=1"))
	h.run(t, "1", strings.Replace(oneImage, "keep = 2", "keep = 3", 1))
	must(t, os.Remove(h.object(h.manifest(t, "plain", 1).Layers[0])))
	h.with(t, "plain.tar", dpkg("a=2"))
	if _, _, result := h.run(t, "2", oneImage); len(result.Failed) > 0 || h.doc(t).Images["plain"].Newest().Packages != nil {
		t.Errorf("%v", result.Failed)
	}
}

// What the running system keeps, and a new generation has another of, is told when that
// is staged; what was never written, or is the same, is not.
func TestHiddenIsTold(t *testing.T) {
	h := newHouse(t)
	kept := strings.Replace(oneImage, "[machine.laptop]", "[machine.laptop]\nroot = { upper = \"persistent\" }", 1)
	h.run(t, "1", kept)
	h.Book.Booted, h.Written = h.doc(t).Images["plain"].Newest().Deployment, t.TempDir()
	said := new(strings.Builder)
	h.Log = slog.New(slog.NewTextHandler(said, nil))
	upper := filepath.Join(h.Written, "plain/kept/upper/etc")
	must(t, os.MkdirAll(upper, 0o755))
	must(t, os.WriteFile(filepath.Join(upper, "mine"), nil, 0o644))
	if h.run(t, "2", strings.Replace(kept, `"one"`, `"two"`, 1)); strings.Contains(said.String(), "kept") {
		t.Errorf("nothing is hidden: %s", said)
	}
	must(t, os.WriteFile(filepath.Join(upper, "hostname"), []byte("mine\n"), 0o644))
	if h.run(t, "3", strings.Replace(kept, `"one"`, `"three"`, 1)); !strings.Contains(said.String(), "generation=3 files=1 first=/etc/hostname") {
		t.Errorf("what is hidden is not told: %s", said)
	}
	must(t, os.RemoveAll(h.Written))
	if h.run(t, "4", strings.Replace(kept, `"one"`, `"four"`, 1)); !strings.Contains(said.String(), "is not known") {
		t.Errorf("that it cannot be looked at is not told: %s", said)
	}
}

// What an image says of the disk that it was installed on is taken out of it, and
// told before where that is known.
func TestFormerDisk(t *testing.T) {
	h := newHouse(t)
	h.with(t, "plain.tar", map[string]string{"etc/fstab": "UUID=1111-2222 / ext4 defaults 0 1\nUUID=3333 /home ext4 defaults 0 2\nnone /tmp tmpfs defaults 0 0\n"})
	_, _, result := h.run(t, "1", oneImage)
	if len(result.Failed) > 0 || len(result.Plan.Stagings[0].Notes) == 0 {
		t.Fatalf("%+v", result)
	}
	first := h.doc(t).Images["plain"].Newest().Inputs
	if first.FormerDisk == "" || first.Looked != formerdisk.Version {
		t.Errorf("%+v", first)
	}
	// Looked into once, the layers are not needed to find that nothing changes.
	must(t, os.Rename(h.object(h.manifest(t, "plain", 1).Layers[0]), filepath.Join(h.dir, "away")))
	j, err := h.Look(t.Context(), h.wants(t, "1", oneImage), Request{})
	must(t, err)
	if got := j.images["plain"].inputs; got.FormerDisk != first.FormerDisk {
		t.Errorf("without layers it is %+v", got)
	}
	must(t, os.Rename(filepath.Join(h.dir, "away"), h.object(h.manifest(t, "plain", 1).Layers[0])))
	// Another hook is planned with what is taken out.
	j, err = h.Look(t.Context(), h.wants(t, "2", named("two")), Request{})
	must(t, err)
	if p, err := j.Plan(t.Context()); err != nil || len(p.Stagings) != 1 || len(p.Stagings[0].Notes) != len(result.Plan.Stagings[0].Notes) {
		t.Errorf("%+v %v", p.Stagings, err)
	}
	// A generation of an older gitboot was not looked into: it is once, and made
	// again if there is something.
	h.edit(t, func(g *state.Generation) { g.Inputs.FormerDisk, g.Inputs.Looked = "", 0 })
	_, _, result = h.run(t, "1", oneImage)
	if len(result.Plan.Stagings) != 1 || result.Plan.Stagings[0].Reasons[0] != "what is of the image's former disk is taken out" {
		t.Errorf("%+v", result.Plan.Stagings)
	}
	h = newHouse(t)
	h.run(t, "1", oneImage)
	h.edit(t, func(g *state.Generation) { g.Inputs.FormerDisk, g.Inputs.Looked = "", 0 })
	if _, done, result := h.run(t, "1", oneImage); len(done) > 0 || result.Changed {
		t.Errorf("an image that says nothing is made again: %s", kinds(done))
	}
}

// An image that cannot boot fails, with what it lacks; so does one whose hooks
// cannot be rendered onto it.
func TestImagesThatCannotBe(t *testing.T) {
	for what, c := range map[string]struct{ old, new, want string }{
		"no kernel":      {`"./plain.tar"`, `"./bare.tar"`, "kernel and initramfs: "},
		"another kernel": {"keep = 2", "kernel = \"5.*\"", "kernel and initramfs: "},
		"a hook":         {"[hook.name.hostname]\nname = \"one\"", "[[hook.name.file]]\npath = \"/boot/vmlinuz-6.1.0-test/x\"\ncontent = \"x\"", "hooks: "},
	} {
		h := newHouse(t)
		bare := filepath.Join(h.dir, "bare")
		must(t, os.MkdirAll(filepath.Join(bare, "etc"), 0o755))
		h.archive(t, "bare.tar", bare)
		h.run(t, "1", oneImage)
		_, _, result := h.run(t, "2", strings.Replace(oneImage, c.old, c.new, 1))
		if err := result.Failed["plain"]; err == nil || !strings.HasPrefix(err.Error(), c.want) || result.Changed {
			t.Errorf("%s: %v", what, err)
		}
		if got := h.numbers(t, "plain"); len(got) != 1 || h.on(t) != 1 || h.doc(t).Images["plain"].Failure == nil || h.doc(t).Revision != strings.Repeat("2", 40) {
			t.Errorf("%s: generations %v, %d on the stage", what, got, h.on(t))
		}
	}
}

// Images and generations that have one kernel share it and its initramfs, which
// is made of layers as soon as they can be read.
func TestKernelsAreShared(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", twoImages)
	a, b := h.manifest(t, "plain", 1), h.manifest(t, "other", 1)
	if a.Kernel != b.Kernel || a.Initramfs != b.Initramfs || a.KernelVersion != "6.1.0-test" {
		t.Errorf("%+v %+v", a, b)
	}
	must(t, os.WriteFile(h.Init, []byte("another init"), 0o755))
	_, _, result := h.run(t, "2", twoImages)
	c := h.manifest(t, "other", 2)
	if len(result.Plan.Stagings) != 2 || result.Plan.Stagings[0].Reasons[0] != "gitboot-init changed" || c.Kernel != b.Kernel || c.Initramfs == b.Initramfs {
		t.Errorf("%+v", result.Plan.Stagings)
	}
	must(t, os.Remove(h.Init))
	if _, err := h.Run(t.Context(), h.wants(t, "2", twoImages), Request{}, nil); err == nil || !strings.Contains(err.Error(), "install it beside gitboot, or name it with init in agent.toml") {
		t.Error(err)
	}
}

// A head start begins with the last layer, and is none where one cannot be read.
func TestHeadStart(t *testing.T) {
	h := newHouse(t)
	h.run(t, "1", oneImage)
	layer := h.object(h.manifest(t, "plain", 1).Layers[0])
	j, err := h.Look(t.Context(), h.wants(t, "1", oneImage), Request{})
	must(t, err)
	must(t, os.WriteFile(h.Init, []byte("another init"), 0o755)) // so that its initramfs is not known
	for what, c := range map[string]struct {
		paths []string
		begun bool
	}{
		"all":             {[]string{layer}, true},
		"one lacks":       {[]string{layer, ""}, false},
		"one is no file":  {[]string{filepath.Join(h.dir, "none"), layer}, false},
		"one is no layer": {[]string{h.Init}, false},
	} {
		s := &staging{Staging: plan.Staging{Image: "plain"}, image: &observedImage{opened: &image.Image{}}}
		start := fetcher{&application{Job: j}}.newHeadStart(t.Context(), s, len(c.paths))
		for i, path := range c.paths {
			if path != "" {
				start.complete(t.Context(), i, path)
			}
		}
		if start.end(); (s.early != nil) != c.begun {
			t.Errorf("%s: %+v", what, s.early)
		}
	}
}
