package buildah

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/steps"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/plain"
)

// Build implements Engine.
func (b *Engine) Build(ctx context.Context, j engine.Job) (engine.Image, error) {
	if ctx.Err() != nil {
		return engine.Image{}, context.Cause(ctx)
	}
	if err := b.make(); err != nil {
		return engine.Image{}, err
	}
	text, err := os.ReadFile(j.Containerfile)
	if err != nil {
		return engine.Image{}, err
	}
	if err := b.knowsHeredocs(ctx, string(text)); err != nil {
		return engine.Image{}, err
	}
	safe, err := b.shielded(ctx, j, string(text))
	if err != nil {
		return engine.Image{}, err
	}
	if err := stampContext(j.Context); err != nil {
		return engine.Image{}, fmt.Errorf("prepare the build's context: %w", err)
	}
	idFile := filepath.Join(filepath.Dir(j.Containerfile), "id")
	args, err := buildArgs(j, safe.containerfile, idFile)
	if err != nil {
		return engine.Image{}, err
	}
	begun := time.Now().Add(-time.Second) // files' times may be a little behind
	out, err := b.run(ctx, j, append(args, j.Context), steps.Count(text))
	if err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, out.complaint) // then nothing may be left to run
		}
		return engine.Image{}, engine.ExplainFull(b.root, err)
	}
	if out.complaint != nil {
		return engine.Image{}, out.complaint
	}
	if err := b.lost(out.Used(), safe.links, begun); err != nil {
		return engine.Image{}, err
	}
	id, err := os.ReadFile(idFile)
	if err != nil {
		return engine.Image{}, fmt.Errorf("read the built image's id: %w", err)
	}
	img, err := b.Image(ctx, string(id))
	if err != nil {
		return engine.Image{}, err
	}
	used := out.Used()
	used[strings.TrimPrefix(img.ID, "sha256:")] = true
	return img, b.note(used)
}

// attempts is how often a build is begun if a step of it could not even be started. All
// steps before that one are taken from the cache, unless there is to be none.
const attempts = 3

// run runs the program, and returns what it printed.
func (b *Engine) run(ctx context.Context, j engine.Job, args []string, count int) (out *printed, err error) {
	for attempt := 1; ; attempt++ {
		out = &printed{Reader: steps.NewReader(j.Progress, count), program: b.Program}
		c := b.command(args...)
		c.Dir, c.Log = filepath.Dir(j.Containerfile), io.MultiWriter(j.Log, plain.Lines(out.line))
		err = c.Run(ctx)
		if err == nil || ctx.Err() != nil || !out.unsealed || attempt == attempts {
			return out, err
		}
		fmt.Fprintf(j.Log, "%s could not start the step: the kernel held on to memory of its copy of itself; the build begins again\n", b.Program)
	}
}

// What is printed is is learned from what the program prints.
type printed struct {
	*steps.Reader
	program string
	// complaint is that it could not take mounts away.
	complaint error
	// unsealed is that a step was not started.
	unsealed bool
}

// unsealedLine is what a step's process ends with before it is one: it executes a copy
// of the program in memory, and the kernel does not seal that as long as some other part
// of it has hold of a page, such as one that moves pages while memory is short (fcntl(2),
// F_SEAL_WRITE; pkg/unshare/unshare.c of containers/storage). It passes. A step that
// prints the same, and fails, runs again.
const unsealedLine = "Close_Fd sealing memfd copy: Device or resource busy"

func (p *printed) line(line string) {
	p.unsealed = p.unsealed || line == unsealedLine
	if strings.HasPrefix(line, "time=") && strings.Contains(line, "unable to cleanup run mount") {
		p.complaint = &LostMountError{p.program, "it says: " + line}
	}
	p.Line(line)
}

// knowsHeredocs refuses heredocs if the engine would take their lines for
// instructions.
func (b *Engine) knowsHeredocs(ctx context.Context, text string) error {
	if !strings.Contains(text, "<<") {
		return nil
	}
	instructions, _ := containerfile.Parse(text)
	n := slices.IndexFunc(instructions, func(i containerfile.Instruction) bool { return len(i.Heredocs) > 0 })
	if n < 0 {
		return nil
	}
	old, err := b.before(ctx, b.Heredocs[0], b.Heredocs[1])
	if err != nil || !old {
		return err
	}
	return fmt.Errorf("%q: %s knows heredocs from version %d.%d on; write the commands with && and backslashes, put them into a script of the context, or use the engine buildkit or docker",
		strings.TrimSpace(instructions[n].Joined), b.Program, b.Heredocs[0], b.Heredocs[1])
}

// buildArgs are the words of a command that builds, up to the context.
func buildArgs(j engine.Job, containerfile, idFile string) (args []string, err error) {
	args = []string{"build", "--isolation", "chroot", "--format", "oci", "--layers", "--identity-label=false",
		"--timestamp", strconv.FormatInt(j.Epoch.Unix(), 10), "--iidfile", idFile,
		"--file", "/proc/self/cwd/" + filepath.Base(containerfile)} // buildah splits the option at commas
	limited, err := limits()
	args = append(args, limited...)
	if j.NoCache {
		args = append(args, "--no-cache")
	}
	if j.CredentialsFile != "" {
		args = append(args, "--authfile", j.CredentialsFile)
	}
	if j.Insecure {
		args = append(args, "--tls-verify=false")
	}
	if j.Platform != "" {
		args = append(args, "--platform", j.Platform)
	}
	if j.Base != "" {
		args = append(args, "--build-arg", recipe.BaseArg+"="+j.Base)
	}
	args = append(args, "--build-arg", "SOURCE_DATE_EPOCH="+strconv.FormatInt(j.Epoch.Unix(), 10))
	for _, name := range slices.Sorted(maps.Keys(j.Args)) {
		args = append(args, "--build-arg", name+"="+j.Args[name])
	}
	for _, id := range slices.Sorted(maps.Keys(j.Secrets)) {
		args = append(args, "--secret", "id="+id+",src="+j.Secrets[id])
	}
	return args, err
}
