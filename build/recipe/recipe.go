package recipe

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
	// BaseUser is the user that the base's steps ended with, "" for root.
	BaseUser string

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
	// Files are the context's, sorted by path.
	Files []File
	// Beside is the folder of the bootstrap's script.
	Beside []File
	// User is the one that the last step leaves, "" for root.
	User string

	digests  map[string]string // of References
	template []byte            // Containerfile with marks for References
	parts    []Part
}

// Prepare reads and renders a recipe. What is wrong with it is Problems.
func Prepare(r Recipe) (*Prepared, error) {
	p := &Prepared{Recipe: r}
	if problems := p.render(&reader{fsys: r.FS}); len(problems) > 0 {
		return nil, fmt.Errorf("render image %q: %w", r.Name, problems)
	}
	return p, p.Pin(nil, nil)
}

// A Checker finds what Prepare would refuse, in many recipes of one repo.
type Checker struct {
	// Reference says what is wrong with an image reference that a step names,
	// and what to do; "" if nothing is.
	Reference func(ref string) (message, hint string)
	// Spend, if it is not nil, says whether more may be done, of which n steps
	// or files come next. A check that it ends has found what it has found.
	Spend func(n int) bool

	read reader
}

// NewChecker begins with nothing read.
func NewChecker(fsys fs.FS) *Checker {
	return &Checker{read: reader{fsys: fsys, walked: map[string]error{}, listed: map[string][]string{}, parsed: map[string]parsed{}}}
}

// Check returns what is wrong with a recipe.
func (c *Checker) Check(r Recipe) Problems {
	r.FS = c.read.fsys
	p := &Prepared{Recipe: r}
	c.read.reference, c.read.budget = c.Reference, c.Spend
	return p.render(&c.read)
}

// contextPath is where a path of the context lies in the repo.
func (r *Recipe) contextPath(name string) string {
	return path.Join(".", r.Context, strings.TrimPrefix(path.Clean("/"+name), "/"))
}
