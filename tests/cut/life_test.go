package cut

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
)

// Where things lie on the disk.
const (
	stagePath  = "/gitboot"
	grubPath   = "/boot/grub"
	customPath = grubPath + "/custom.cfg"
	menuPath   = stagePath + "/boot/gitboot.cfg"
)

// theirs is what the machine's owner has in custom.cfg.
const theirs = "# mine\nset color_normal=white/black\n"

// A version is what is published at a time: what GRUB and a mounted disk have to
// show, and nothing else, from when it is there.
type version struct {
	step string
	// since is how many entries the log had.
	since int
	// custom and menu are the sha256 of those, "" for none; named are the files
	// that the menu names, first is its first entry, and defaults are those that
	// it may have boot by itself.
	custom, menu string
	named        map[string]string
	first        string
	defaults     []string
}

// A life is what happens to a stage while all that is written is recorded.
type life struct {
	gitboot, dir string
	repo         *lab.Repo
	registry     *lab.Registry
	images       map[string]string
}

// A step is a part of a life.
type step struct {
	name string
	do   func(*testing.T, *life)
}

// steps are a whole life. What comes last is what each state has to converge to.
var steps = []step{
	{"first run", func(t *testing.T, l *life) { l.reconcile(t, "one", "one") }},
	{"hook changed", func(t *testing.T, l *life) { l.reconcile(t, "one", "two") }},
	{"layer added", func(t *testing.T, l *life) { l.reconcile(t, "two", "two") }},
	{"kernel changed", func(t *testing.T, l *life) { l.reconcile(t, "three", "two") }},
	{"default chosen", func(t *testing.T, l *life) { l.run(t, "boot", "set-default", "desktop:2") }},
	{"exported and removed", func(t *testing.T, l *life) {
		l.run(t, "stage", "export", "desktop:3", "-o", filepath.Join(t.TempDir(), "export"))
		l.run(t, "stage", "remove", "desktop:3")
	}},
	{"garbage collected", func(t *testing.T, l *life) { l.run(t, "stage", "gc") }},
	{"default taken back", func(t *testing.T, l *life) { l.run(t, "boot", "set-default", "--newest") }},
	{"reverted", func(t *testing.T, l *life) { l.reconcile(t, "one", "two") }},
	{"all changed", func(t *testing.T, l *life) { l.reconcile(t, "two", "three") }},
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

// reconcile commits that the machine has an image and a host name, and reconciles.
func (l *life) reconcile(t *testing.T, image, hostname string) {
	t.Helper()
	config := `[image.desktop]
pull = "` + l.images[image] + `"
insecure = true
keep = 3

[machine.laptop]
images = ["desktop"]
hooks = ["hostname"]
boot = { mode = "managed" }

[hook.hostname.hostname]
name = "` + hostname + `"
`
	if err := l.repo.Write("gitboot.toml", config); err != nil {
		t.Fatal(err)
	}
	if _, err := l.repo.Commit(t.Context(), image+" "+hostname); err != nil {
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

// published looks at what is published now.
func (l *life) published(step string, log string) (v version, err error) {
	v = version{step: step, defaults: []string{distribution}, named: map[string]string{}}
	if v.since, err = entries(log); err != nil {
		return v, err
	}
	if v.custom, _, err = hashed256(l.dir + customPath); err != nil {
		return v, err
	}
	var menu []byte
	if v.menu, menu, err = hashed256(l.dir + menuPath); err != nil || menu == nil {
		return v, err
	}
	for _, m := range namedFiles.FindAllStringSubmatch(string(menu), -1) {
		v.named[m[1]] = m[2]
	}
	v.first, v.defaults = firstEntry(menu), nil
	for _, m := range defaultSet.FindAllStringSubmatch(string(menu), -1) {
		v.defaults = append(v.defaults, m[1])
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
	dir := t.TempDir()
	l := &life{dir: filepath.Join(dir, "disk"), images: map[string]string{}}
	var err error
	if l.gitboot, err = lab.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
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
