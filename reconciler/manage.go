package reconciler

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
)

// Found is a generation that a user named.
type Found struct {
	Image string
	Generation
}

// Find returns the generation that name means: IMAGE (its newest), IMAGE:N, a
// boot entry's id, or a deployment's id or the beginning of one.
func (s *State) Find(name string) (Found, error) {
	image, number, _ := strings.Cut(name, ":")
	var found []Found
	for candidate, img := range s.Images {
		for i, g := range img.Generations {
			newest := i == len(img.Generations)-1
			switch {
			case candidate == name && newest,
				candidate == image && number == strconv.Itoa(g.N),
				boot.EntryID(candidate, g.Deployment) == name,
				len(name) >= 6 && strings.HasPrefix(g.Deployment, name):
				found = append(found, Found{candidate, g})
			}
		}
	}
	switch len(found) {
	case 0:
		return Found{}, &NameError{None: "the stage has no generation", Name: name, Known: slices.Sorted(maps.Keys(s.Images)), Remedy: "`gitboot boot list` shows all"}
	case 1:
		return found[0], nil
	}
	return Found{}, &NameError{None: fmt.Sprintf("the stage has not one but %d generations", len(found)), Name: name, Remedy: "give more of the id"}
}

// lock takes the stage for writing, and says so if that means to wait.
func (r *Reconciler) lock(ctx context.Context) (*stage.Lock, error) {
	lock, err := r.stage.Lock(ctx, false)
	if r.Wait && errors.Is(err, stage.ErrLocked) {
		r.Log.Info("another run holds the stage's lock; waiting until it ends")
		return r.stage.Lock(ctx, true)
	}
	return lock, err
}

// change runs do under the stage's lock with the state, then saves it and
// writes the menu that follows from it. Only when that is on the disk it runs
// after, if there is one.
func (r *Reconciler) change(ctx context.Context, do func(*State) error, after func() error) (err error) {
	fs, err := r.bootable(ctx)
	if err != nil {
		return err
	}
	lock, err := r.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	state, err := LoadState(r.Stage)
	if err != nil {
		return err
	}
	if err := do(state); err != nil {
		return err
	}
	if err := state.Save(r.Stage); err != nil {
		return err
	}
	if err := r.publish(ctx, fs, state); err != nil {
		return err
	}
	if err := errors.Join(r.link(ctx, fs), r.stage.Settle(ctx)); err != nil || after == nil {
		return err
	}
	return after()
}

// Export writes the named deployment as a single file.
func (r *Reconciler) Export(ctx context.Context, name string, w io.Writer) error {
	state, err := LoadState(r.Stage)
	if err != nil {
		return err
	}
	found, err := state.Find(name)
	if err != nil {
		return err
	}
	return r.stage.Export(ctx, found.Deployment, w, r.Progress)
}

// Import puts an exported deployment on the stage and into the menu, as a new
// generation of its image.
func (r *Reconciler) Import(ctx context.Context, file io.Reader) (found Found, err error) {
	err = r.change(ctx, func(state *State) error {
		fs, err := r.locate(ctx)
		if err != nil {
			return err
		}
		if state.Machine == "" {
			state.Machine = r.Machine
		}
		id, err := r.stage.Import(ctx, file, func(id string, m *deployment.Manifest) error {
			return checkImported(id, m, state.Machine, fs)
		}, r.Progress)
		if err != nil {
			return err
		}
		m, err := r.stage.Deployment(id)
		if err != nil {
			return err
		}
		before := state.Images[m.Image].newest()
		var changed *packages.Summary
		if before != nil {
			changed = r.notedPackages(ctx, m.Image, before.Deployment, m.Layers)
		}
		found = state.imported(m, id, changed, r.Now().UTC().Truncate(time.Second))
		return nil
	}, nil)
	return found, err
}

func (s *State) imported(m *deployment.Manifest, id string, changed *packages.Summary, now time.Time) Found {
	img := s.image(m.Image)
	for _, g := range img.Generations {
		if g.Deployment == id {
			return Found{m.Image, g}
		}
	}
	g := Generation{N: 1, Deployment: id, Created: now, Packages: changed, Imported: true}
	if newest := img.newest(); newest != nil {
		g.N = newest.N + 1
	}
	img.add(g)
	return Found{m.Image, g}
}

// Remove takes one generation off the stage and out of the menu.
func (r *Reconciler) Remove(ctx context.Context, name string) (found Found, err error) {
	err = r.change(ctx, func(state *State) error {
		if found, err = state.Find(name); err != nil {
			return err
		}
		switch {
		case found.Deployment == r.Booted:
			return fmt.Errorf("remove %s:%d: it is running; boot another entry first", found.Image, found.N)
		case boot.EntryID(found.Image, found.Deployment) == state.Default:
			return fmt.Errorf("remove %s:%d: it is the chosen default; choose another with `gitboot boot set-default`", found.Image, found.N)
		}
		img := state.image(found.Image)
		img.remove(found.Deployment)
		if len(img.Generations) == 0 && !slices.Contains(state.Order, found.Image) {
			delete(state.Images, found.Image)
		}
		return nil
	}, func() error { // the menu has let go of it; only now may the files follow
		if err := r.stage.RemoveDeployment(found.Deployment); err != nil {
			return err
		}
		_, err := r.stage.Collect(ctx, false)
		return err
	})
	return found, err
}

// SetDefault makes an entry the one that boots by itself. "" goes back to the
// newest generation of the first image.
func (r *Reconciler) SetDefault(ctx context.Context, name string) (found Found, err error) {
	err = r.change(ctx, func(state *State) error {
		if state.Mode != "managed" {
			return errors.New("set the default: the menu's mode is \"menu\", which leaves the default to the distribution; " +
				"declare boot.mode = \"managed\" for the machine in the config repo first")
		}
		if name == "" {
			state.Default = ""
			return nil
		}
		if found, err = state.Find(name); err != nil {
			return err
		}
		state.Default = boot.EntryID(found.Image, found.Deployment)
		return nil
	}, nil)
	return found, err
}
