package reconciler

import (
	"path/filepath"

	"github.com/gitboot/gitboot/hooks"
	"github.com/gitboot/gitboot/spec"
)

// hookInput is what the hooks of an image are rendered from, but for the
// image itself.
func (r *Reconciler) hookInput(want spec.Image) hooks.Input {
	return hooks.Input{
		Machine:  r.Machine,
		Image:    want.Name,
		Tag:      want.Tag,
		Hooks:    want.Hooks,
		StateDir: filepath.Join(r.Stage, "secrets"),
		TempDir:  filepath.Join(r.Stage, "tmp"),
		Log:      r.Log,
	}
}
