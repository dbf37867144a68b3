// Package arch holds the rules of which package may import which. The shape
// is a star: pure cores, independent leaves, one orchestrator.
package arch

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gitboot/gitboot/"

// A rule says which packages of this module, and which of others, a package
// and what lies below it may import. "internal" means all of internal/.
type rule struct {
	folder string
	ours   []string
	why    string
	// third are modules of others that are allowed, banned are packages of
	// the standard library that are not.
	third  []string
	banned []string
}

var rules = []rule{
	{folder: "deployment", why: "linked into the program that is loaded at every boot"},
	{folder: "rootfs", why: "a codec", third: []string{"github.com/klauspost/compress", "github.com/ulikunitz/xz"}},
	{folder: "build/containerfile", why: "a codec", banned: []string{"os", "os/exec", "net", "net/http"}},
	{folder: "build/recipe", ours: []string{"build/containerfile"}, why: "what is rendered is what is checked: executes nothing, and reads nothing but the given files",
		third: []string{"github.com/moby/patternmatcher"}, banned: []string{"os", "os/exec", "net", "net/http", "time"}},
	{folder: "hooks/kind", why: "one pure check of a hook serves both who declares and who renders it", banned: []string{"os", "os/exec", "net", "net/http"}},
	{folder: "spec", ours: []string{"build/recipe", "deployment", "hooks/kind", "internal/nearest", "internal/plain"}, why: "what a repo means is decided without touching the machine; plain makes a problem one line",
		third: []string{"github.com/BurntSushi/toml", "github.com/robfig/cron"}, banned: []string{"os", "os/exec", "net", "net/http"}},
	{folder: "reconciler/plan", ours: []string{"spec"}, why: "the same wants and observations give the same plan", banned: []string{"os", "os/exec", "net", "net/http", "time"}},
	{folder: "reconciler/source/pack", why: "a codec", third: []string{"github.com/go-git", "github.com/klauspost/compress"}, banned: []string{"net", "net/http", "os/exec"}},
	{folder: "reconciler/source/pack/attack", why: "hostile packs, for tests"},
	{folder: "reconciler/source/quarantine", ours: []string{"reconciler/source/pack"}, why: "reads packs where they can reach nothing", banned: []string{"net", "net/http"},
		third: []string{"github.com/go-git", "github.com/landlock-lsm/go-landlock", "github.com/elastic/go-seccomp-bpf", "golang.org/x/sys"}},
	{folder: "reconciler/source", ours: []string{"internal"}, why: "a leaf",
		third: []string{"github.com/go-git", "github.com/hiddeco/sshsig", "github.com/skeema/knownhosts", "golang.org/x/crypto", "golang.org/x/sys", "golang.org/x/net"}},
	{folder: "image", ours: []string{"image", "internal"}, why: "a leaf",
		third: []string{"github.com/google/go-containerregistry", "github.com/klauspost/compress", "github.com/ulikunitz/xz", "golang.org/x/sys", "golang.org/x/sync"}},
	{folder: "image/build", ours: []string{"image", "image/build/buildkit/handoff", "build/recipe", "build/containerfile", "internal"}, why: "engines execute what a recipe has rendered",
		third: []string{"golang.org/x/sys"}},
	{folder: "image/build/buildkit/handoff", why: "the contract of gitboot and gitboot-buildkit"},
	{folder: "image/build/buildkit", ours: []string{"image/build/buildkit/handoff", "internal"}, why: "linked into a program of its own",
		third: []string{"github.com/moby/buildkit", "github.com/containerd", "github.com/docker/cli", "github.com/opencontainers", "github.com/tonistiigi/fsutil", "google.golang.org/grpc"}},
	{folder: "image/packages", why: "reads files that it is handed, and nothing else", banned: []string{"os", "os/exec", "net", "net/http", "database/sql"}},
	{folder: "stage", ours: []string{"stage", "internal", "deployment", "rootfs"}, why: "a leaf; it stores the manifests that deployment defines, and looks into the layers below a new one",
		third: []string{"golang.org/x/sys", "golang.org/x/sync"}},
	{folder: "hooks", ours: []string{"hooks/kind", "rootfs", "internal"}, why: "a leaf; rootfs names what is at a path of an image", third: []string{"golang.org/x/sys", "golang.org/x/crypto"}},
	{folder: "initramfs/early", ours: []string{"deployment", "initramfs/modindex"}, why: "loaded at every boot: no network, TLS, git, TOML or registry",
		third: []string{"golang.org/x/sys"}, banned: []string{"net", "net/http", "crypto/tls", "text/template"}},
	{folder: "initramfs/modindex", why: "linked into the program that is loaded at every boot"},
	{folder: "initramfs", ours: []string{"deployment", "initramfs/modindex", "rootfs", "internal"}, why: "a leaf",
		third: []string{"github.com/klauspost/compress", "github.com/ulikunitz/xz", "github.com/cavaliergopher/cpio", "golang.org/x/sys", "golang.org/x/sync"}},
	{folder: "boot/grub/env", why: "a codec"},
	{folder: "boot/grub", ours: []string{"boot", "boot/loader", "deployment", "internal"}, why: "one boot loader", third: []string{"golang.org/x/sys"}},
	{folder: "boot/loader", ours: []string{"boot"}, why: "the contract of boot loaders"},
	{folder: "boot/place", ours: []string{"boot", "internal"}, why: "what it finds is told in boot's words", third: []string{"golang.org/x/sys"}},
	{folder: "boot", ours: []string{"deployment"}, why: "the same entries give the same menu; deployment names the kernel parameters", banned: []string{"os", "os/exec", "net", "net/http"}},
	{folder: "internal", ours: []string{"internal"}, why: "what several leaves share", third: []string{"golang.org/x/sys"}},
	{folder: "cmd/gitboot/internal/overview", ours: []string{"internal"}, why: "the same events, time and width give the same lines", banned: []string{"os", "io", "net", "net/http"}},
	{folder: "cmd/gitboot-init", ours: []string{"initramfs/early"}, why: "main of process 1", third: []string{"golang.org/x/sys"}},
}

type pkg struct {
	path    string
	imports []string
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var pkgs []pkg
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		pkgs = append(pkgs, pkg{words[0], words[1:]})
	}
	return pkgs
}

// ruleFor returns the rule of the deepest folder that holds the package.
func ruleFor(folder string) *rule {
	for dir := folder; dir != "."; dir = path.Dir(dir) {
		for i := range rules {
			if rules[i].folder == dir {
				return &rules[i]
			}
		}
	}
	return nil
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		folder := strings.TrimPrefix(p.path, module)
		r := ruleFor(folder)
		if r == nil {
			continue
		}
		for _, imported := range p.imports {
			if problem := r.check(folder, imported); problem != "" {
				t.Errorf("%s imports %s: %s (%s: %s)", folder, imported, problem, r.folder, r.why)
			}
		}
	}
}

func (r *rule) check(folder, imported string) string {
	if ours, ok := strings.CutPrefix(imported, module); ok {
		if within(ours, r.ours) || within(ours, []string{folder}) {
			return ""
		}
		return "not among the packages it may know"
	}
	if !strings.Contains(strings.Split(imported, "/")[0], ".") {
		if slices.Contains(r.banned, imported) {
			return "banned here"
		}
		return ""
	}
	if within(imported, r.third) {
		return ""
	}
	return "a library it does not need"
}

func within(imported string, allowed []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool { return imported == a || strings.HasPrefix(imported, a+"/") })
}

// What process 1 links decides how much every boot loads.
func TestInitLinksNoNetwork(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/gitboot-init") {
		for _, ban := range []string{"net", "net/http", "crypto/tls", "encoding/xml", "text/template", "html/template", "github.com/", "gopkg.in/"} {
			if p.path == ban || strings.HasSuffix(ban, "/") && strings.HasPrefix(p.path, ban) && !strings.HasPrefix(p.path, module) {
				t.Errorf("gitboot-init links %s", p.path)
			}
		}
	}
}

// What gitboot links decides how long every run takes to begin: BuildKit's
// client is in gitboot-buildkit.
func TestGitbootLinksNoBuilder(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/gitboot") {
		for _, ban := range []string{"github.com/moby/buildkit/", "github.com/containerd/containerd/", "google.golang.org/"} {
			if strings.HasPrefix(p.path, ban) {
				t.Errorf("gitboot links %s", p.path)
			}
		}
	}
}

// A name that says nothing collects everything.
func TestNoVagueNames(t *testing.T) {
	for _, p := range list(t, "./...") {
		if slices.Contains([]string{"util", "utils", "common", "helpers", "helper", "types", "misc"}, path.Base(p.path)) {
			t.Errorf("%s: name a package for what it holds", p.path)
		}
	}
}
