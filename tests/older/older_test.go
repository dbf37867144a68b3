// Package older takes over what an older gitboot left: a stage with all that its
// state can hold. testdata/README.md says how it was made.
package older

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// A machine is the one whose stage it is, with this gitboot installed.
type machine struct {
	dir, gitboot string
	env          []string
}

func (m *machine) path(names ...string) string {
	return filepath.Join(append([]string{m.dir}, names...)...)
}

func TestOlder(t *testing.T) {
	need.Programs(t, "tar2sqfs", "git")
	gitboot, err := lab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T, *machine){
		"looked at": looksAt, "unchanged": leavesUnchanged, "changed": changes, "exported": imports,
	} {
		t.Run(name, func(t *testing.T) { test(t, take(t, gitboot)) })
	}
}

// take unpacks what was left, and gives it a registry that has lost everything.
func take(t *testing.T, gitboot string) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir(), gitboot: gitboot}
	for _, c := range [][]string{
		{"tar", "-xzf", "testdata/stage.tar.gz", "-C", m.dir, "--no-same-owner"},
		{"git", "clone", "--quiet", "--branch=main", m.path("repo.bundle"), m.path("repo")},
	} {
		if _, err := lab.Run(t.Context(), c[0], c[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	// The config repo names a host that no name server knows.
	proxy := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(proxy.Close)
	m.env = append(os.Environ(), "HTTP_PROXY="+proxy.URL, "NO_PROXY=", "no_proxy=")
	settings := fmt.Sprintf("repo = %q\nmachine = \"laptop\"\nstage = %q\nboot = %q\nstage_location = \"UUID=1111-2222:/gitboot\"\ninit = %q\n",
		m.path("repo"), m.path("stage"), m.path("grub"), m.path("init"))
	if err := os.WriteFile(m.path("agent.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

// run expects an exit code, and returns the output.
func (m *machine) run(t *testing.T, code int, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), m.gitboot, append([]string{"--config", m.path("agent.toml")}, args...)...)
	cmd.Env = m.env
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Logf("gitboot %v:\n%s%s", args, out, exit.Stderr)
	} else if err != nil {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("gitboot %v exits with %d, not %d", args, got, code)
	}
	return out
}

// status is what is known; an image and a build have failed, so it exits with 1.
func (m *machine) status(t *testing.T) map[string]any {
	t.Helper()
	var s map[string]any
	if err := json.Unmarshal(m.run(t, 1, "status", "--json"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *machine) left(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(m.path(name))
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// named returns the elements of a list in a status by that field of theirs.
func named(t *testing.T, s map[string]any, list, field string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, e := range s[list].([]any) {
		out[e.(map[string]any)[field].(string)] = e
	}
	return out
}

// keeps reports where a value lacks or has changed what another had; more may
// have been added.
func keeps(t *testing.T, where string, want, have any) {
	t.Helper()
	switch want := want.(type) {
	case map[string]any:
		have, _ := have.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(want)) {
			keeps(t, where+"."+key, want[key], have[key])
		}
	case []any:
		have, _ := have.([]any)
		if len(have) != len(want) {
			t.Errorf("%s has %d elements, and had %d", where, len(have), len(want))
			return
		}
		for i := range want {
			keeps(t, fmt.Sprintf("%s[%d]", where, i), want[i], have[i])
		}
	default:
		if !reflect.DeepEqual(want, have) {
			t.Errorf("%s is %v, and was %v", where, have, want)
		}
	}
}

func looksAt(t *testing.T, m *machine) {
	var status map[string]any
	m.left(t, "status.json", &status)
	delete(status, "stage") // its folder
	keeps(t, "status", status, m.status(t))
	var entries, now []any
	m.left(t, "entries.json", &entries)
	if err := json.Unmarshal(m.run(t, 0, "boot", "list", "--json"), &now); err != nil {
		t.Fatal(err)
	}
	keeps(t, "boot list", entries, now)
	m.run(t, 0, "stage", "verify")
	m.checkBootable(t)
}

// What the config repo wants is there: it stays as it is. The menu is written anew
// once, in the form in which boots are counted, with the entries that it had.
func leavesUnchanged(t *testing.T, m *machine) {
	before, menu, files := m.status(t), m.menu(t), m.files(t)
	m.run(t, 1, "reconcile", "--once")
	after := m.status(t)
	keeps(t, "status", before["images"].([]any)[:2], after["images"].([]any)[:2])
	m.stayed(t, before, after, "desktop", "tool", "rescue")
	now := m.menu(t)
	if had, has := loads(menu), loads(now); !slices.Equal(had, has) {
		t.Errorf("the menu has\n%q\nand had\n%q", has, had)
	}
	if m.run(t, 1, "reconcile", "--once"); m.menu(t) != now {
		t.Error("the menu is written in each run")
	}
	if now := m.files(t); !slices.Equal(now, files) {
		t.Errorf("what boots was\n%v\nand is\n%v", files, now)
	}
	m.checkBootable(t)
}

// initHook brings the init that images of this fixture lack, without which nothing
// new is staged.
const initHook = `
[hook.init]
images = ["desktop"]
[[hook.init.file]]
path    = "/sbin/init"
mode    = "0755"
content = "#!/bin/sh\n"

[hook.own.hostname]`

// A changed setting of one image is one new generation, of what is there.
func changes(t *testing.T, m *machine) {
	before := m.status(t)
	repo := &lab.Repo{Dir: m.path("repo")}
	for old, new := range map[string]string{
		"[image.desktop]\n":           "[image.desktop]\ntmpfs_size = \"50%\"\n",
		`hooks       = ["own", "id"]`: `hooks       = ["own", "id", "init"]`,
		"[hook.own.hostname]":         initHook,
		// As many as there was room for; what a disk is on takes some of machines alone that
		// open one.
		`kernel_args = ["quiet"]`: `kernel_args = ["` + strings.Repeat("x", 1320) + `"]`,
	} {
		if err := repo.Replace("gitboot.toml", old, new); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := repo.Commit(t.Context(), "Give the desktop room"); err != nil {
		t.Fatal(err)
	}
	m.run(t, 1, "reconcile", "--once")
	after := m.status(t)
	m.stayed(t, before, after, "tool", "rescue")
	had := named(t, before, "images", "name")["desktop"].(map[string]any)["generations"].([]any)
	has := named(t, after, "images", "name")["desktop"].(map[string]any)["generations"].([]any)
	if len(has) != len(had)+1 || has[0].(map[string]any)["generation"] != 3.0 {
		t.Fatalf("desktop has the generations %v, and had %v", has, had)
	}
	keeps(t, "desktop", had, has[1:])
	keeps(t, "default", before["default"], after["default"])
	m.checkBootable(t)
}

// stayed sees that what is known of images and of their builds and pushes is
// what it was.
func (m *machine) stayed(t *testing.T, before, after map[string]any, images ...string) {
	t.Helper()
	for list, field := range map[string]string{"images": "name", "builds": "image", "pushes": "image"} {
		had, has := named(t, before, list, field), named(t, after, list, field)
		for _, name := range images {
			if had[name] != nil {
				keeps(t, list+" "+name, had[name], has[name])
			}
		}
		if len(had) != len(has) {
			t.Errorf("%s are %d, and were %d", list, len(has), len(had))
		}
	}
	if build, _ := named(t, after, "builds", "image")["broken"].(map[string]any); build["failure"] == nil {
		t.Errorf("of the build that fails is known %v", build)
	}
	if len(named(t, after, "pushes", "image")) == 0 {
		t.Error("nothing is known to be pushed")
	}
}

// A deployment that was exported is imported as what it was.
func imports(t *testing.T, m *machine) {
	m.run(t, 0, "stage", "import", m.path("desktop.gitboot"), "--stage", m.path("other"), "--boot", m.path("grub"))
	var status map[string]any
	if err := json.Unmarshal(m.run(t, 0, "status", "--json", "--stage", m.path("other")), &status); err != nil {
		t.Fatal(err)
	}
	first := func(s map[string]any, n int) any {
		g := named(t, s, "images", "name")["desktop"].(map[string]any)["generations"].([]any)
		return g[n].(map[string]any)["deployment"]
	}
	if got, want := first(status, 0), first(m.status(t), 1); got != want {
		t.Errorf("it was %v, and is %v", want, got)
	}
}

func (m *machine) menu(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(m.path("stage/boot/gitboot.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// files are the names of all that a deployment is made of.
func (m *machine) files(t *testing.T) (names []string) {
	t.Helper()
	for _, folder := range []string{"objects/sha256", "deployments", "layers", "kernels", "secrets"} {
		entries, err := os.ReadDir(m.path("stage", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, folder+"/"+e.Name())
		}
	}
	return names
}

var entry = regexp.MustCompile(`linux '/gitboot/([^']*)' .*'` + deployment.ParamDeployment + `=([0-9a-f]{64})'.*\n\s*(?:if )?initrd '/gitboot/([^']*)'`)

// loads are what a menu's entries boot, in its order: each once, though what boots
// if the default does not stands there a second time.
func loads(menu string) (all []string) {
	for _, e := range entry.FindAllStringSubmatch(menu, -1) {
		all = append(all, strings.Join(e[1:], " "))
	}
	return slices.Compact(all)
}

// checkBootable goes the way of a boot as far as without a machine: what GRUB
// loads is there, process 1's own reader takes the manifest, and each of its
// objects is whole.
func (m *machine) checkBootable(t *testing.T) {
	t.Helper()
	found := entry.FindAllStringSubmatch(m.menu(t), -1)
	if len(found) < 4 {
		t.Fatalf("the menu has %d entries:\n%s", len(found), m.menu(t))
	}
	for _, e := range found {
		data, err := os.ReadFile(m.path("stage/deployments", e[2]+".json"))
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := deployment.ParseManifest(data, e[2])
		if err != nil {
			t.Fatal(err)
		}
		if manifest.Kernel.Path() != e[1] || manifest.Initramfs.Path() != e[3] {
			t.Errorf("the entry of %.12s loads %s and %s", e[2], e[1], e[3])
		}
		for _, o := range manifest.Objects() {
			data, err := os.ReadFile(m.path("stage", o.Path()))
			if err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != o.SHA256 || int64(len(data)) != o.Size {
				t.Errorf("%.12s: object %s is not whole: %v", e[2], o.Path(), err)
			}
		}
	}
}
