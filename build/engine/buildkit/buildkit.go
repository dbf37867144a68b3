// Package buildkit has images built by a BuildKit daemon, on this machine or
// another, to which a program of our own speaks.
package buildkit

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/blobs"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// Options says where the builder is, and where what it built is kept.
type Options struct {
	// Dir is the folder of all engines. Nothing else may use what is called
	// buildkit there.
	Dir     string
	Speaker Speaker
	Builder protocol.Builder
}

// An Engine builds with a BuildKit daemon.
type Engine struct {
	blobs.Store
	opts Options
}

// New opens the images that are kept for the builder. Neither they nor the
// builder need be there before they are used.
func New(opts Options) (*Engine, error) {
	dir, err := filepath.Abs(filepath.Join(opts.Dir, "buildkit"))
	if err != nil {
		return nil, err
	}
	return &Engine{blobs.Store{Dir: dir}, opts}, nil
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
func (b *Engine) Name() string { return "buildkit" }

// Check implements Engine. If no builder can be used, its error is an
// *UnreachableError.
func (b *Engine) Check(ctx context.Context) error {
	if b.opts.Builder.Address == "" {
		return &UnreachableError{}
	}
	if _, _, err := b.opts.Builder.Endpoint(); err != nil {
		return &UnreachableError{b.opts.Builder.Address, err}
	}
	if err := b.opts.Speaker.Find("the builder"); err != nil {
		return fmt.Errorf("engine buildkit: %w", err)
	}
	err := b.opts.Speaker.check(ctx, b.opts.Builder)
	if err != nil && ctx.Err() == nil {
		return &UnreachableError{b.opts.Builder.Address, err}
	}
	return err
}

// Build implements Engine.
func (b *Engine) Build(ctx context.Context, j engine.Job) (engine.Image, error) {
	if ctx.Err() != nil {
		return engine.Image{}, context.Cause(ctx)
	}
	if err := b.Make(); err != nil {
		return engine.Image{}, err
	}
	if j.Base != "" {
		if _, err := b.Manifest(j.Base); err != nil {
			return engine.Image{}, err
		}
	}
	j.Platform = cmp.Or(j.Platform, "linux/"+runtime.GOARCH) // a builder may be another kind of machine
	id, err := b.opts.Speaker.Build(ctx, j, protocol.Request{Builder: b.opts.Builder, Store: b.Dir, Base: j.Base})
	if err != nil {
		return engine.Image{}, b.explain(err)
	}
	return b.Image(ctx, id)
}

// explain tells a disk that is full here from one that is full at the builder.
func (b *Engine) explain(err error) error {
	if strings.Contains(err.Error(), b.Dir) {
		return engine.ExplainFull(b.Dir, err)
	}
	return err
}
