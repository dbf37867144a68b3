package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec"
)

func TestTOML(t *testing.T) {
	for _, p := range pages(t) {
		if p.name != "docs/config.md" {
			report(t, checkTOML(t.Context(), p))
			report(t, checkAgents(t, built(t), p))
		}
	}
}

// checkTOML loads a page's config repos and resolves their machines.
func checkTOML(ctx context.Context, p page) (problems []string) {
	var repos []fstest.MapFS
	for _, f := range p.fences {
		where := fmt.Sprintf("%s:%d", p.name, f.line)
		switch {
		case f.lang == "toml" && f.file == "":
			problems = append(problems, where+": say with file=NAME which file this is")
		case f.file == "" || isAgent(f):
		case f.file == spec.RootFile:
			repos = append(repos, fstest.MapFS{f.file: file(f)})
		case len(repos) == 0:
			problems = append(problems, where+": begin the repo with file="+spec.RootFile)
		default:
			repos[len(repos)-1][f.file] = file(f)
		}
	}
	for _, repo := range repos {
		if err := resolveAll(ctx, repo); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v\nin:\n%s", p.name, err, repo[spec.RootFile].Data))
		}
	}
	return problems
}

func file(f fence) *fstest.MapFile { return &fstest.MapFile{Data: []byte(f.text), Mode: 0o755} }

func isAgent(f fence) bool { return filepath.Base(f.file) == "agent.toml" }

func resolveAll(ctx context.Context, repo fstest.MapFS) error {
	fleet, err := spec.Load(ctx, repo)
	if err != nil {
		return err
	}
	var all []error
	for _, machine := range fleet.Machines() {
		_, err := fleet.Resolve(ctx, machine)
		all = append(all, err)
	}
	return errors.Join(all...)
}

// checkAgents has gitboot read each agent.toml. That the stage is missing is
// the only thing it may complain about.
func checkAgents(t *testing.T, gitboot string, p page) (problems []string) {
	t.Helper()
	for _, f := range p.fences {
		if f.lang != "toml" || !isAgent(f) {
			continue
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "agent.toml")
		if err := os.WriteFile(path, []byte(f.text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), gitboot, "stage", "list", "--config", path, "--stage", filepath.Join(dir, "none")).CombinedOutput()
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s:%d: %s", p.name, f.line, out))
		}
	}
	return problems
}
