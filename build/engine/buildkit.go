package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// BuildkitOptions says where the builder is, and where what it built is kept.
type BuildkitOptions struct {
	// Dir holds images. Nothing else may use its folder buildkit.
	Dir string
	// Program is gitboot-buildkit, which speaks to the builder.
	Program string
	Builder protocol.Builder
}

// Buildkit builds with a BuildKit daemon, on this machine or another.
type Buildkit struct {
	ociStore
	opts BuildkitOptions
}

// NewBuildkit opens the images that are kept for the builder. Neither they nor
// the builder need be there before they are used.
func NewBuildkit(opts BuildkitOptions) (*Buildkit, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, "buildkit"))
	if err != nil {
		return nil, err
	}
	return &Buildkit{ociStore{dir}, opts}, nil
}

// UnreachableError says that a builder cannot be used.
type UnreachableError struct {
	Address string // "" if there is none
	Err     error
}

func (e *UnreachableError) Error() string {
	const key = "address in the section [buildkit] of agent.toml"
	if e.Address == "" {
		return "engine buildkit: no builder is known; set " + key + ", for example to unix:///run/buildkit/buildkitd.sock"
	}
	return fmt.Sprintf("engine buildkit: use the builder at %s: %v; start buildkitd there, or set another %s", e.Address, e.Err, key)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Name implements Engine.
func (b *Buildkit) Name() string { return "buildkit" }

// Check implements Engine. If no builder can be used, its error is an
// *UnreachableError.
func (b *Buildkit) Check(ctx context.Context) error {
	if b.opts.Builder.Address == "" {
		return &UnreachableError{}
	}
	if _, _, err := b.opts.Builder.Endpoint(); err != nil {
		return &UnreachableError{b.opts.Builder.Address, err}
	}
	if _, err := program.Find(b.opts.Program); err != nil {
		return fmt.Errorf("engine buildkit: find the program that speaks to the builder: %w; install it with `make install`, or name it with program in the section [buildkit] of agent.toml", err)
	}
	c, err := speak(b.opts.Program, "check", protocol.Request{Builder: b.opts.Builder})
	if err != nil {
		return err
	}
	var said bytes.Buffer
	c.log = &said
	err = c.run(ctx)
	if err != nil && ctx.Err() == nil {
		if lines := strings.Split(strings.TrimSpace(said.String()), "\n"); lines[0] != "" {
			err = errors.New(plain.Line(lines[len(lines)-1]))
		}
		return &UnreachableError{b.opts.Builder.Address, err}
	}
	return err
}

// speak calls gitboot-buildkit. Neither secrets nor keys are in a request,
// only their files' names.
func speak(speaker, verb string, r protocol.Request) (command, error) {
	request, err := json.Marshal(r)
	return command{
		args: []string{speaker, verb, string(request)},
		env:  []string{"PATH=" + program.Path, "HOME=/nonexistent", "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8"},
		dir:  "/",
		// It tells the builder, which then ends the build sooner.
		asked: true,
	}, err
}

// Build implements Engine.
func (b *Buildkit) Build(ctx context.Context, j Job) (Image, error) {
	if ctx.Err() != nil {
		return Image{}, context.Cause(ctx)
	}
	text, err := os.ReadFile(j.Containerfile)
	if err != nil {
		return Image{}, err
	}
	if err := b.make(); err != nil {
		return Image{}, err
	}
	if j.Base != "" {
		if _, err := b.manifest(j.Base); err != nil {
			return Image{}, err
		}
	}
	steps := &stepReader{task: j.Progress, steps: countExecuted(text), used: map[string]bool{}}
	c, err := speak(b.opts.Program, "build", protocol.Request{
		Builder: b.opts.Builder, Store: b.dir, Containerfile: j.Containerfile, Context: j.Context,
		Base: j.Base, BaseArg: recipe.BaseArg, Args: j.Args, Secrets: j.Secrets, CredentialsFile: j.CredentialsFile,
		Platform: cmp.Or(j.Platform, "linux/"+runtime.GOARCH), // a builder may be another kind of machine
		NoCache:  j.NoCache, Epoch: j.Epoch.Unix(), Steps: steps.steps,
	})
	if err != nil {
		return Image{}, err
	}
	var id bytes.Buffer
	c.out, c.log = &id, io.MultiWriter(j.Log, &lineWriter{each: steps.line})
	if err := c.run(ctx); err != nil {
		return Image{}, b.explain(err)
	}
	return b.Image(ctx, strings.TrimSpace(id.String()))
}

// countExecuted says how many of a Containerfile's instructions are nodes of the
// builder's graph: the others only change the configuration.
func countExecuted(text []byte) (n int) {
	instructions, _ := containerfile.Parse(string(text))
	for _, i := range instructions {
		switch i.Keyword {
		case "RUN", "COPY", "ADD", "WORKDIR":
			n++
		}
	}
	return n
}

// explain tells a disk that is full here from one that is full at the builder.
func (b *Buildkit) explain(err error) error {
	if strings.Contains(err.Error(), b.dir) {
		return explainFull(b.dir, err)
	}
	return err
}
