package script

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// stale IMAGE ARG adds a generation whose manifest holds a kernel argument that
// no menu can have: what a gitboot leaves that checked arguments only when it
// wrote the menu. NNN in ARG stands for 3,000 letters.
func cmdStale(ts *testscript.TestScript, args []string) error {
	dir := ts.MkAbs("stage")
	doc, err := state.LoadMachine(dir)
	if err != nil {
		return err
	}
	img := doc.Images[args[0]]
	g := img.Generations[len(img.Generations)-1]
	data, err := os.ReadFile(manifestPath(dir, g.Deployment))
	if err != nil {
		return err
	}
	m := &deployment.Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return err
	}
	m.KernelArgs = []string{strings.Replace(args[1], "NNN", strings.Repeat("n", 3000), 1)}
	if data, err = m.Canonical(); err != nil {
		return err
	}
	g.N, g.Deployment, g.Inputs.KernelArgs = g.N+1, deployment.ID(data), m.KernelArgs
	img.Generations = append(img.Generations, g)
	if err := os.WriteFile(manifestPath(dir, g.Deployment), data, 0o600); err != nil {
		return err
	}
	return doc.Save(dir, nil)
}

func manifestPath(dir, id string) string { return filepath.Join(dir, "deployments", id+".json") }
