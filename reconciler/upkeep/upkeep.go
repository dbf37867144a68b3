// Package upkeep looks after what is there already, without a config repo: what
// may be removed, what is damaged, what a boot menu no longer shows. It decides;
// who asks only prints.
package upkeep

import (
	"context"
	"errors"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/damage"
)

// Collected says what was, or would be, removed.
type Collected struct {
	stage.Collected
	// Cache is how many bytes of the engines' stores were.
	Cache int64
	// Quarantine is what was kept of damaged objects.
	Quarantine stage.Collected
}

// Collect removes objects that no deployment names, and of the engines' stores
// what is beyond their bound, and of what is in quarantine all that the running
// deployment does not need. With dry it only counts the objects: what would go of a
// store is not foreseen.
func Collect(ctx context.Context, cfg reconciler.Config, wait, dry bool) (c Collected, err error) {
	err = locked(ctx, cfg, wait, func(st *stage.Stage) error {
		if c.Collected, err = st.Collect(ctx, dry); err != nil {
			return err
		}
		if dry {
			c.Quarantine, err = damage.Quarantined(st)
			return err
		}
		if c.Quarantine, err = damage.Release(st, cfg.Booted); err != nil {
			return err
		}
		r, err := reconciler.Existing(cfg)
		if err != nil {
			return err
		}
		c.Cache, err = r.Shop.CollectCaches(ctx)
		return err
	})
	return c, err
}

// A Finding is what a stage's verification has found, and what became of it.
type Finding struct {
	Damage []damage.Found
	Mended []damage.Mended
}

// What becomes of damaged objects.
type Mending int

const (
	// Leave only looks.
	Leave Mending = iota
	// Quarantine has the next reconcile put others in their place, in which they
	// stay until then.
	Quarantine
	// Remove takes away what is not part of the deployment that runs.
	Remove
)

// Verify reads all of a stage and compares it with its names. It takes the lock for
// what is to become of damaged objects, if anything is. What was found before an
// error is there, too.
func Verify(ctx context.Context, cfg reconciler.Config, wait bool, mend Mending) (found Finding, err error) {
	look := func(st *stage.Stage) error {
		if found.Damage, err = damage.Find(ctx, st, 0, cfg.Progress); err != nil {
			return err
		}
		switch mend {
		case Quarantine:
			_, err = damage.Mark(st, found.Damage)
		case Remove:
			found.Mended, err = damage.Remove(st, found.Damage, cfg.Booted)
		}
		return err
	}
	if mend != Leave {
		return found, locked(ctx, cfg, wait, look)
	}
	st, err := stage.Open(cfg.Stage)
	if err != nil {
		return found, err
	}
	return found, stage.Failed(st, look(st))
}

// locked works on a stage that there is, as its only writer.
func locked(ctx context.Context, cfg reconciler.Config, wait bool, do func(*stage.Stage) error) (err error) {
	st, err := stage.Open(cfg.Stage)
	if err != nil {
		return err
	}
	defer func() { err = stage.Failed(st, err) }()
	lock, err := st.Lock(ctx, wait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	return do(st)
}

// Staged reports which layers of an image lie on a stage. Where there is no
// stage yet, none does.
func Staged(dir string, img *image.Image) ([]bool, error) {
	staged := make([]bool, len(img.Layers))
	st, err := stage.Open(dir)
	if errors.Is(err, stage.ErrNone) {
		return staged, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []stage.LayerID
	for _, l := range img.Layers {
		ids = append(ids, stage.LayerID{DiffID: l.DiffID, Blob: l.Digest})
	}
	objects, err := st.Layers(ids)
	for i, o := range objects {
		staged[i] = o != deployment.Object{}
	}
	return staged, err
}

// Unlink takes gitboot's menu out of the boot loader's, and returns the file
// in which that was. What is on the stage stays as it is.
func Unlink(ctx context.Context, cfg reconciler.Config) (file string, err error) {
	if file, err = menu.Unlink(cfg.Boot, cfg.Stage); err != nil {
		return file, err
	}
	if _, err := stage.Open(cfg.Stage); err != nil { // whatever is wrong with it
		return file, nil
	}
	return file, locked(ctx, cfg, true, func(st *stage.Stage) error {
		_, err := state.Edit(st.Dir(), func(doc *state.Machine) error {
			doc.Written = nil // so that nobody else is thought to have done it
			return nil
		})
		return err
	})
}
