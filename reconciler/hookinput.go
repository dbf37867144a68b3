package reconciler

import (
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
		StateDir: r.stage.Secrets(),
		TempDir:  r.stage.Temp(),
		Log:      r.Log,
	}
}
