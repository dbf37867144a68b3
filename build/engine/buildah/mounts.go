package buildah

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
)

// Buildah before 1.31 removes, after a step, whatever it has mounted something
// over: what was made for the mount, but also a folder that was there before.
// It follows no link when it removes. So a step is shown a folder of links, and
// what it mounts is mounted on those: the kernel follows them, and buildah
// finds nothing to remove, because the folder is itself a mount of that step.

// linkFolder is where a step sees the links.
const linkFolder = "/run/gitboot-mounts"

// before reports whether the engine's program is older than a version.
func (b *Engine) before(ctx context.Context, major, minor int) (bool, error) {
	text, err := b.output(ctx, b.temp, "--version")
	if err != nil {
		return false, fmt.Errorf("ask %s for its version: %w", b.Program, err)
	}
	var has [2]int
	if _, err := fmt.Sscanf(text, b.Program+" version %d.%d", &has[0], &has[1]); err != nil {
		return false, fmt.Errorf("%s says that its version is %q: %w", b.Program, text, err)
	}
	return slices.Compare(has[:], []int{major, minor}) < 0, nil
}

// shield rewrites steps so that what they mount over stays. It returns the
// Containerfile, and the links by their path in the context.
func shield(text string) (shielded string, links map[string]string, err error) {
	instructions, _ := containerfile.Parse(text)
	links = map[string]string{}
	var out strings.Builder
	for _, i := range instructions {
		step, any := i.Text, false
		for _, f := range slices.Backward(i.Flags()) {
			m, ok := containerfile.ParseMount(f.Text)
			if i.Keyword != "RUN" || !ok || m.Target == recipe.ScriptMount || !slices.Contains([]string{"bind", "cache", "tmpfs"}, m.Type) {
				continue
			}
			target := strings.Trim(m.Target, `"'`)
			if !path.IsAbs(target) || strings.ContainsAny(target, `$\"'`) {
				return "", nil, fmt.Errorf("line %d: target=%s: buildah before 1.31 removes the folder that a step mounts something over; write it as an absolute path without variables and quotes, and gitboot prevents that", i.Line, m.Target)
			}
			link, at := linkFor(path.Clean(target))
			links[link], any = path.Clean(target), true
			step = step[:f.Start] + onLink(f.Text, m, at) + step[f.End:]
		}
		if any {
			at := len(step) - len(strings.TrimLeft(step, " \t")) + len("RUN")
			step = fmt.Sprintf("%s --mount=type=bind,source=%s,target=%s%s", step[:at], path.Join(recipe.OwnFolder, "mounts"), linkFolder, step[at:])
		}
		out.WriteString(step)
	}
	return out.String(), links, nil
}

// linkFor names a link by its path in the context, and where a step sees it. As
// mounts are made in the order of their paths' depth, that is the target's.
func linkFor(target string) (link, at string) {
	sum := sha256.Sum256([]byte(target))
	name := path.Join(hex.EncodeToString(sum[:6]), strings.Repeat("d/", strings.Count(target, "/")), "link")
	return path.Join(recipe.OwnFolder, "mounts", name), path.Join(linkFolder, name)
}

// onLink writes a mount with another target. A cache without an id is known by
// its target.
func onLink(flag string, m containerfile.Mount, at string) string {
	options := strings.Split(strings.TrimPrefix(flag, "--mount="), ",")
	for n, o := range options {
		switch key, _, _ := strings.Cut(strings.ToLower(o), "="); key {
		case "target", "dst", "destination":
			options[n] = "target=" + at
		}
	}
	if m.Type == "cache" && m.ID == "" {
		options = append(options, "id="+strings.Trim(m.Target, `"'`))
	}
	return "--mount=" + strings.Join(options, ",")
}

// A shielded job has a Containerfile of its own, and links, by where a step sees
// them, to what is mounted over.
type shieldedJob struct {
	containerfile string
	links         map[string]string
}

// shielded puts what shield has made beside the job's Containerfile and into
// its context, if the engine needs it.
func (b *Engine) shielded(ctx context.Context, j engine.Job, text string) (s shieldedJob, err error) {
	s.containerfile = j.Containerfile
	if !strings.Contains(text, "--mount=") {
		return s, nil
	}
	if old, err := b.before(ctx, b.Mounts[0], b.Mounts[1]); err != nil || !old {
		return s, err
	}
	text, links, err := shield(text)
	if err != nil || len(links) == 0 {
		return s, err
	}
	s.links = map[string]string{}
	for link, target := range links {
		at := filepath.Join(j.Context, filepath.FromSlash(link))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(target, at)); err != nil {
			return s, err
		}
		_, seen := linkFor(target)
		s.links[seen] = target
	}
	s.containerfile += ".shielded"
	return s, os.WriteFile(s.containerfile, []byte(text), 0o600)
}
