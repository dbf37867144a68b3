package buildah

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/containerfile"
	"github.com/gitboot/gitboot/build/engine"
)

// A LostMountError says that an engine has damaged an image.
type LostMountError struct{ Engine, What string }

func (e *LostMountError) Error() string {
	return fmt.Sprintf("%s has damaged the image: %s; mount it where the image has no folder, or use a newer %s or the engine buildkit", e.Engine, e.What, e.Engine)
}

// lost says whether steps have lost what they mounted something over. A step
// cannot remove that itself, as long as it is mounted.
func (b *Engine) lost(used map[string]bool, links map[string]string, begun time.Time) error {
	view, err := b.view()
	if err != nil {
		return err
	}
	for _, i := range view.images {
		if i.last.Before(begun) && !used[i.ID] || len(i.chain) == 0 {
			continue
		}
		targets, err := b.mountedBy(i.ID)
		if errors.Is(err, engine.ErrGone) {
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
				return &LostMountError{b.Program, fmt.Sprintf("a step that mounts something on %q has lost what was there", target)}
			}
		}
	}
	return nil
}

// mountedBy returns what the step that made an image has mounted something
// over. The engine notes the step in the image's history.
func (s *store) mountedBy(id string) (targets []string, err error) {
	_, config, err := s.stored(id)
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
func (s *store) removes(chain []string, target string) (bool, error) {
	for name := strings.TrimPrefix(path.Clean(target), "/"); name != "." && name != ""; name = path.Dir(name) {
		mode, there, err := s.inLayer(chain[0], name)
		switch {
		case err != nil:
			return false, err
		case there && mode&fs.ModeCharDevice != 0:
			return true, nil // a whiteout of overlayfs
		case there || s.driver != "vfs" || len(chain) == 1:
			continue
		}
		if _, before, err := s.inLayer(chain[1], name); err != nil || before {
			return before, err // each layer holds all that is below it
		}
	}
	return false, nil
}
