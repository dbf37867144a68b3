package engine

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/recipe"
)

// Buildah before 1.31 removes, after a step, whatever it has mounted something
// over: what was made for the mount, but also a folder that was there before.
// It follows no link when it removes. So a step is shown a folder of links, and
// what it mounts is mounted on those: the kernel follows them, and buildah
// finds nothing to remove, because the folder is itself a mount of that step.

// linkFolder is where a step sees the links.
const linkFolder = "/run/gitboot-mounts"

// A LostMountError says that an engine has damaged an image.
type LostMountError struct{ Engine, What string }

func (e *LostMountError) Error() string {
	return fmt.Sprintf("%s has damaged the image: %s; mount it where the image has no folder, or use a newer %s or the engine buildkit", e.Engine, e.What, e.Engine)
}

// before reports whether the engine's program is older than a version.
func (b *Buildah) before(ctx context.Context, major, minor int) (bool, error) {
	text, err := b.output(ctx, b.temp, "--version")
	if err != nil {
		return false, fmt.Errorf("ask %s for its version: %w", b.program, err)
	}
	var has [2]int
	if _, err := fmt.Sscanf(text, b.program+" version %d.%d", &has[0], &has[1]); err != nil {
		return false, fmt.Errorf("%s says that its version is %q: %w", b.program, text, err)
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
func (b *Buildah) shielded(ctx context.Context, j Job, text string) (s shieldedJob, err error) {
	s.containerfile = j.Containerfile
	if !strings.Contains(text, "--mount=") {
		return s, nil
	}
	if old, err := b.before(ctx, b.mounts[0], b.mounts[1]); err != nil || !old {
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

// lost says whether steps have lost what they mounted something over. A step
// cannot remove that itself, as long as it is mounted.
func (b *Buildah) lost(steps *stepReader, links map[string]string, begun time.Time) error {
	if steps.complaint != "" {
		return &LostMountError{b.program, "it says: " + steps.complaint}
	}
	view, err := b.view()
	if err != nil {
		return err
	}
	for _, i := range view.images {
		if i.last.Before(begun) && !steps.used[i.ID] || len(i.chain) == 0 {
			continue
		}
		targets, err := b.mountedBy(i.ID)
		if errors.Is(err, ErrGone) {
			continue // listed before it is whole: another build's, which looks at it itself
		}
		if err != nil {
			return err
		}
		for _, target := range targets {
			target = cmp.Or(links[target], target)
			if gone, err := b.removes(i.chain, target); err != nil {
				return err
			} else if gone {
				return &LostMountError{b.program, fmt.Sprintf("a step that mounts something on %q has lost what was there", target)}
			}
		}
	}
	return nil
}

// mountedBy returns what the step that made an image has mounted something
// over. The engine notes the step in the image's history.
func (b *Buildah) mountedBy(id string) (targets []string, err error) {
	_, config, err := b.stored(id)
	if err != nil {
		return nil, err
	}
	var c struct {
		History []struct {
			Step  string `json:"created_by"`
			Empty bool   `json:"empty_layer"`
		} `json:"history"`
	}
	if err := json.Unmarshal(config, &c); err != nil || len(c.History) == 0 {
		return nil, err
	}
	last := c.History[len(c.History)-1]
	at := strings.Index(last.Step, "--mount=")
	if at < 0 || last.Empty {
		return nil, nil
	}
	instructions, _ := containerfile.Parse("RUN " + last.Step[at:])
	for _, f := range instructions[0].Flags() {
		if m, ok := containerfile.ParseMount(f.Text); ok && m.Target != "" {
			targets = append(targets, m.Target)
		}
	}
	return targets, nil
}

// removes tells whether the highest of the layers takes a path away.
func (b *Buildah) removes(chain []string, target string) (bool, error) {
	for name := strings.TrimPrefix(path.Clean(target), "/"); name != "." && name != ""; name = path.Dir(name) {
		mode, there, err := b.inLayer(chain[0], name)
		switch {
		case err != nil:
			return false, err
		case there && mode&fs.ModeCharDevice != 0:
			return true, nil // a whiteout of overlayfs
		case there || b.driver != "vfs" || len(chain) == 1:
			continue
		}
		if _, before, err := b.inLayer(chain[1], name); err != nil || before {
			return before, err // each layer holds all that is below it
		}
	}
	return false, nil
}

// inLayer looks for a path in what the store holds of a layer.
func (b *Buildah) inLayer(layer, name string) (mode fs.FileMode, there bool, err error) {
	root, err := os.OpenRoot(b.layerDir(layer))
	if err != nil {
		return 0, false, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil {
		return 0, false, nil // it is not there, or a link leads elsewhere
	}
	return info.Mode(), true, nil
}
