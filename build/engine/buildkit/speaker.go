package buildkit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/process"
	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
	"github.com/gitboot/gitboot/build/engine/steps"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/program"
)

// A Speaker is where gitboot-buildkit is, which speaks to builders.
type Speaker string

// Find says what to do if the program is not there. whom it speaks to is said
// in the error.
func (s Speaker) Find(whom string) error {
	if _, err := program.Find(string(s)); err != nil {
		return fmt.Errorf("find the program that speaks to %s: %w; install it with `make install`, or name it with program in the section [buildkit] of agent.toml", whom, err)
	}
	return nil
}

// check asks whether a builder answers.
func (s Speaker) check(ctx context.Context, b protocol.Builder) error {
	c, err := s.command("check", protocol.Request{Builder: b})
	if err != nil {
		return err
	}
	var said bytes.Buffer
	c.Log = &said
	err = c.Run(ctx)
	if err != nil && ctx.Err() == nil {
		if lines := strings.Split(strings.TrimSpace(said.String()), "\n"); lines[0] != "" {
			err = errors.New(plain.Line(lines[len(lines)-1]))
		}
	}
	return err
}

// Build has a job done as the request says besides, and returns what the program
// prints: the image's id in the request's store.
func (s Speaker) Build(ctx context.Context, j engine.Job, r protocol.Request) (id string, err error) {
	text, err := os.ReadFile(j.Containerfile)
	if err != nil {
		return "", err
	}
	r.Containerfile, r.Context, r.BaseArg, r.Args, r.Secrets = j.Containerfile, j.Context, recipe.BaseArg, j.Args, j.Secrets
	r.CredentialsFile, r.Platform, r.NoCache, r.Epoch = j.CredentialsFile, j.Platform, j.NoCache, j.Epoch.Unix()
	r.Steps = steps.CountExecuted(text)
	c, err := s.command("build", r)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	c.Out, c.Log = &out, io.MultiWriter(j.Log, plain.Lines(steps.NewReader(j.Progress, r.Steps).Line))
	err = c.Run(ctx)
	return strings.TrimSpace(out.String()), err
}

// command calls the program. Neither secrets nor keys are in a request, only
// their files' names.
func (s Speaker) command(verb string, r protocol.Request) (process.Command, error) {
	request, err := json.Marshal(r)
	return process.Command{
		Args: []string{string(s), verb, string(request)},
		Env:  []string{"PATH=" + program.Path, "HOME=/nonexistent", "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8"},
		Dir:  "/",
		// It tells the builder, which then ends the build sooner.
		Asked: true,
	}, err
}
