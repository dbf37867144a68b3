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
	out := &printed{Reader: steps.NewReader(j.Progress, steps.Count(text)), program: b.Program}
	c := b.command(append(args, j.Context)...)
	c.Dir, c.Log = filepath.Dir(j.Containerfile), io.MultiWriter(j.Log, plain.Lines(out.line))
	if err := c.Run(ctx); err != nil {
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

// What is printed is is learned from what the program prints.
type printed struct {
	*steps.Reader
	program string
	// complaint is that it could not take mounts away.
	complaint error
}

func (p *printed) line(line string) {
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
