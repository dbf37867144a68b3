// Package arch holds the rules that no compiler knows: which package may import
// which, how large one may grow, that no test hides, and that the design's page
// tells of what there is.
package arch

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gitboot/gitboot/"

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

// ruleFor returns a package's rule, nil if it has none.
func ruleFor(folder string) *rule {
	for i := range rules {
		if rules[i].folder == folder {
			return &rules[i]
		}
	}
	return nil
}

// TestImports looks at what is shipped: tests may import whatever they need.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		folder := strings.TrimPrefix(p.path, module)
		if strings.HasPrefix(folder, "tests/") {
			continue
		}
		r := ruleFor(folder)
		if r == nil {
			t.Errorf("%s has no rule: say in rules_test.go what it may import, and why", folder)
			continue
		}
		seen[folder] = true
		for _, imported := range p.imports {
			if problem := r.check(imported); problem != "" {
				t.Errorf("%s imports %s: %s (%s)", folder, imported, problem, r.why)
			}
		}
		for _, permit := range slices.Concat(r.third, ours(r.ours)) {
			if !slices.ContainsFunc(p.imports, func(imported string) bool { return within(imported, permit) }) {
				t.Errorf("%s may import %s, and does not", folder, permit)
			}
		}
	}
	for _, r := range rules {
		if !seen[r.folder] {
			t.Errorf("there is a rule for %s, and no such package", r.folder)
		}
	}
}

func ours(folders []string) (paths []string) {
	for _, folder := range folders {
		paths = append(paths, module+folder)
	}
	return paths
}

func (r *rule) check(imported string) string {
	if folder, ok := strings.CutPrefix(imported, module); ok {
		other := ruleFor(folder)
		switch {
		case other == nil:
			return "it has no rule"
		case other.layer > r.layer:
			return "that is in a layer above"
		case other.layer != shared && !slices.Contains(r.ours, folder):
			return "not among the packages it may know"
		}
		return ""
	}
	if !strings.Contains(strings.Split(imported, "/")[0], ".") {
		if slices.Contains(r.banned, imported) {
			return "banned here"
		}
		return ""
	}
	if slices.ContainsFunc(r.third, func(permit string) bool { return within(imported, permit) }) {
		return ""
	}
	return "a library it does not need"
}

func within(imported, permit string) bool {
	return imported == permit || strings.HasPrefix(imported, permit+"/")
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
// client is in gitboot-buildkit, and what writes manual pages in a program that is
// built for that. Prometheus' library brings protobuf, which takes
// half a millisecond; what else Google has, it does not bring.
func TestGitbootLinksNoBuilder(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/gitboot") {
		for _, ban := range []string{"github.com/moby/buildkit/", "github.com/containerd/containerd/", "google.golang.org/grpc/", "google.golang.org/genproto/", "github.com/spf13/cobra/doc", "github.com/russross/"} {
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

// Of two packages with one name, no line of code says which is meant.
func TestNoNameTwice(t *testing.T) {
	owner := map[string]string{}
	for _, p := range list(t, "./...") {
		name := path.Base(p.path)
		if other := owner[name]; other != "" {
			t.Errorf("%s and %s have one name", other, p.path)
		}
		owner[name] = p.path
	}
}
