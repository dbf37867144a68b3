package build

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// A Recipe is what is declared of an image. Paths are relative to FS.
type Recipe struct {
	// Name is the image's, for messages.
	Name string
	FS   fs.FS
	// Scratch begins from nothing; else the base is given when it is built.
	Scratch bool

	// Bootstrap is a command of this machine that writes the base as a tar, nil
	// if the base comes from elsewhere. A first word that begins with ./ is an
	// executable of FS.
	Bootstrap []string

	// Containerfiles are fragments, run in order.
	Containerfiles []string
	// Context is the folder that they see, "" for the repo's root.
	Context string
	// Recipe is a folder with an executable named script.
	Recipe string
	Copy   []Copy
	Run    []string

	Args   map[string]string
	Labels map[string]string
	// Secrets maps ids to files of this machine. They are mounted for a step
	// and are in no layer, log or key.
	Secrets map[string]string
	// Platform is os/architecture[/variant], "" for the engine's own.
	Platform string
	// RootfsFixes puts right what building in a container leaves behind.
	RootfsFixes bool
}

// A Copy brings From, a file or folder of FS, to To in the image.
type Copy struct{ From, To string }

// Prepared is a recipe that was read: what will be executed, and on what.
type Prepared struct {
	Recipe
	// Containerfile is what the engine executes, once it is pinned.
	Containerfile []byte
	// References are the images that steps name besides the base.
	References []string
	digests    map[string]string // of References
	template   []byte            // Containerfile with marks for References
	// files are the context's, sorted by path.
	files []contextFile
	parts []Part
	// beside is the folder of the bootstrap's script.
	beside []contextFile
}

// Prepare reads and renders a recipe.
func Prepare(r Recipe) (*Prepared, error) {
	p := &Prepared{Recipe: r}
	if err := p.loadScript(); err != nil {
		return nil, fmt.Errorf("image %q: %w", r.Name, err)
	}
	out, err := p.render()
	if err != nil {
		return nil, fmt.Errorf("render image %q: %w", r.Name, err)
	}
	p.template = out
	return p, p.Pin(nil)
}

// contextPath is where a path of the context lies in the repo.
func (r *Recipe) contextPath(name string) string {
	return path.Join(".", r.Context, strings.TrimPrefix(path.Clean("/"+name), "/"))
}
