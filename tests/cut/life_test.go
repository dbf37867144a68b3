package cut

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// Where things lie below what is mounted.
const (
	stagePath = "/gitboot"
	grubPath  = "/boot/grub"
)

// A site is where GRUB finds what it reads, on the file system that is recorded.
type site struct{ custom, menu string }

var (
	together = site{grubPath + "/custom.cfg", stagePath + "/boot/gitboot.cfg"}
	// apart is that of a /boot with a file system of its own.
	apart = site{"/grub/custom.cfg", "/grub/gitboot/gitboot.cfg"}
)

// theirs is what the machine's owner has in custom.cfg.
const theirs = "# mine\nset color_normal=white/black\n"

// A version is what is published at a time: what GRUB and a mounted disk have to
// show, and nothing else, from when it is there.
type version struct {
	step string
	// since is how many entries the log had.
	since int
	// files are the sha256 of custom.cfg and of a menu with entries; named are those of
	// what that names, first is its first entry, and defaults are those that it
	// may have boot by itself.
	files, named map[string]string
	first        string
	defaults     []string
	// older says that a gitboot of before has published it.
	older bool
}

// A life is what happens to a stage while all that is written is recorded.
type life struct {
	gitboot, dir string
	// older is a gitboot of before, "" if none takes part.
	older string

	repo     *lab.Repo
	registry *lab.Registry
	images   map[string]string
	// ends is the mode of the boot menu in the end.
	ends string
}

// byOlder is the step that a gitboot of before takes.
const byOlder = "hook changed by an older one"

// A step is a part of a life.
type step struct {
	name string
	do   func(*testing.T, *life)
}

// steps are a whole life. What comes last is what each state has to converge to.
var steps = []step{
	{"first run", func(t *testing.T, l *life) { l.reconcileIn(t, "menu", "one", "one") }},
	{"hook changed", func(t *testing.T, l *life) { l.reconcile(t, "one", "two") }},
	{"layer added", func(t *testing.T, l *life) { l.reconcile(t, "two", "two") }},
	{"found good", func(t *testing.T, l *life) { l.run(t, "boot", "mark-good", "desktop:3") }},
	{"kernel changed", func(t *testing.T, l *life) { l.reconcile(t, "three", "two") }},
	{"default chosen", func(t *testing.T, l *life) { l.run(t, "boot", "set-default", "desktop:2") }},
	{"exported and removed", func(t *testing.T, l *life) {
		if err := os.RemoveAll(l.export()); err != nil { // another file system's
			t.Fatal(err)
		}
		l.run(t, "stage", "export", "desktop:4", "-o", l.export())
		l.run(t, "stage", "remove", "desktop:4")
	}},
	{"garbage collected", func(t *testing.T, l *life) { l.run(t, "stage", "gc") }},
	{"imported", func(t *testing.T, l *life) { l.run(t, "stage", "import", l.export()) }},
	{"found bad", func(t *testing.T, l *life) { l.run(t, "boot", "mark-bad", "desktop:4") }},
	{"built", func(t *testing.T, l *life) { l.build(t, "two") }},
	{"downgraded", func(t *testing.T, l *life) { l.forget(t, "verdicts", "boot") }},
	{byOlder, changeByOlder},
	{"default taken back", func(t *testing.T, l *life) { l.run(t, "boot", "set-default", "--newest") }},
	{"reverted", func(t *testing.T, l *life) { l.reconcile(t, "one", "two") }},
	{"all changed", func(t *testing.T, l *life) { l.reconcileIn(t, l.ends, "two", "three") }},
}

func (l *life) command(ctx context.Context, dir string, args ...string) (string, error) {
	args = append(args, "--repo", l.repo.Dir, "--machine", "laptop", "--stage", dir+stagePath, "--boot", dir+grubPath)
	out, err := exec.CommandContext(ctx, l.gitboot, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("gitboot %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (l *life) run(t *testing.T, args ...string) {
	t.Helper()
	if _, err := l.command(t.Context(), l.dir, args...); err != nil {
		t.Fatal(err)
	}
}

// export is where what was exported lies, which is on another disk.
func (l *life) export() string { return l.dir + ".export" }

// forget leaves out of the state what a gitboot does not know that is older.
func (l *life) forget(t *testing.T, keys ...string) {
	t.Helper()
	path := filepath.Join(l.dir, stagePath, "state.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		delete(doc, key)
	}
	if data, err = json.MarshalIndent(doc, "", "  "); err == nil {
		err = durable.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changeByOlder has a gitboot of before change a hook, if there is one.
func changeByOlder(t *testing.T, l *life) {
	if l.older != "" {
		now := l.gitboot
		l.gitboot = l.older
		defer func() { l.gitboot = now }()
	}
	l.reconcile(t, "two", "older")
}

// reconcile commits that the machine has an image and a host name, and reconciles.
func (l *life) reconcile(t *testing.T, image, hostname string) {
	l.reconcileIn(t, "managed", image, hostname)
}

// reconcileIn is that with the boot menu in a mode.
func (l *life) reconcileIn(t *testing.T, mode, image, hostname string) {
	t.Helper()
	l.follow(t, image+" "+hostname, `[image.desktop]
pull = "`+l.images[image]+`"
insecure = true
keep = 3
`, mode, hostname)
}

// build is that with an image that is built on one, and has a host name of its own.
func (l *life) build(t *testing.T, on string) {
	t.Helper()
	if err := l.repo.Write("made", "made\n"); err != nil {
		t.Fatal(err)
	}
	l.follow(t, "built on "+on, `[image.desktop]
keep = 3
[image.desktop.build]
from = "`+l.images[on]+`"
insecure = true
rootfs_fixes = false
copy = [{ from = "made", to = "/etc/made" }]
`, "managed", "built")
}

// follow commits what a machine is to be, and reconciles.
func (l *life) follow(t *testing.T, what, image, mode, hostname string) {
	t.Helper()
	config := image + `
[machine.laptop]
images = ["desktop"]
hooks = ["hostname"]
boot = { mode = "` + mode + `" }

[hook.hostname.hostname]
name = "` + hostname + `"
`
	if err := l.repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := l.repo.Commit(t.Context(), what); err != nil {
		t.Fatal(err)
	}
	l.run(t, "reconcile", "--once")
}

var (
	namedFiles    = regexp.MustCompile(`(?:linux|initrd) '(/[^']*/([0-9a-f]{64}))'`)
	entryID       = regexp.MustCompile(`(?m)^menuentry .* --id (\S+) `)
	defaultSet    = regexp.MustCompile(`(?m)^ *set default='([^'\n]*)'$`)
	deploymentArg = regexp.MustCompile(deployment.ParamDeployment + `=([0-9a-f]{64})`)
)

// published looks at what is published now, below a folder.
func (w site) published(dir, step, log string) (v version, err error) {
	v = version{step: step, defaults: []string{distribution}, files: map[string]string{}, named: map[string]string{}}
	if v.since, err = entries(log); err != nil {
		return v, err
	}
	if v.files[w.custom], _, err = hashed256(dir + w.custom); err != nil {
		return v, err
	}
	is, menu, err := hashed256(dir + w.menu)
	v.first = firstEntry(menu)
	if err != nil || v.first == "" { // whatever lies there, GRUB is not led to it
		return v, err
	}
	v.files[w.menu] = is
	for _, m := range namedFiles.FindAllStringSubmatch(string(menu), -1) {
		v.named[m[1]] = m[2]
	}
	if set := defaultSet.FindAllStringSubmatch(string(menu), -1); len(set) > 0 {
		v.defaults = nil
		for _, m := range set {
			v.defaults = append(v.defaults, m[1])
		}
	}
	return v, nil
}

// firstEntry is that of the newest generation of the machine's first image.
func firstEntry(menu []byte) string {
	if m := entryID.FindSubmatch(menu); m != nil {
		return string(m[1])
	}
	return ""
}

func hashed256(path string) (string, []byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:]), data, err
}

// newLife gives a life that has not begun, and the images it will go through.
func newLife(t *testing.T) *life {
	t.Helper()
	lab.RequireMachines(t)
	need.Programs(t, "qemu-storage-daemon")
	dir := t.TempDir()
	l := &life{dir: filepath.Join(dir, "disk"), images: map[string]string{}}
	var err error
	if l.gitboot, err = lab.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	writeInit(t, dir)
	if l.registry, err = lab.NewRegistry(filepath.Join(dir, "registry")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.registry.Close() })
	if l.repo, err = lab.NewRepo(t.Context(), filepath.Join(dir, "repo")); err != nil {
		t.Fatal(err)
	}
	base := l.layer(t, dir, "6.1.0", "base")
	for image, layers := range map[string][]lab.Layer{
		"one":   {base, l.layer(t, dir, "", "one")},
		"two":   {base, l.layer(t, dir, "", "two")},
		"three": {base, l.layer(t, dir, "6.2.0", "three")},
	} {
		if l.images[image], _, err = l.registry.Push(t.Context(), "desktop:"+image, nil, layers...); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// writeInit writes what stands for gitboot-init, beside a gitboot. What is not executed
// here may be small: most of a state is made of it.
func writeInit(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "gitboot-init"), noise(96<<10), 0o755); err != nil {
		t.Fatal(err)
	}
}

// noise is so many bytes that cannot be compressed, always the same.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// layer makes a layer with a file, and a kernel if it is to have one.
func (l *life) layer(t *testing.T, dir, kernel, name string) lab.Layer {
	t.Helper()
	root, path := filepath.Join(dir, name), filepath.Join(dir, name+".tar")
	err := errors.Join(os.MkdirAll(filepath.Join(root, "etc"), 0o755), os.WriteFile(filepath.Join(root, "etc", name), []byte(name), 0o644))
	if kernel != "" {
		err = errors.Join(err, lab.FakeKernel(root, kernel, true))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "tar", "-C", root, "--owner=0", "--group=0", "--sort=name", "--mtime=@1000000000", "-cf", path, "."); err != nil {
		t.Fatal(err)
	}
	return lab.Layer{Path: path}
}
