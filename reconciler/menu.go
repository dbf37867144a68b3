package reconciler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// loader is the boot loader that publishes the menu. A deployment that is
// running was started by one whose own folder is that of another system.
func (r *Reconciler) loader() (loader.Loader, error) {
	if r.Booted != "" && r.Boot == "" {
		return grub.Booted(r.Stage), nil
	}
	g, err := grub.Open(r.Boot, r.Stage)
	if err != nil {
		return nil, fmt.Errorf("find the boot loader: %w", err)
	}
	return g, nil
}

// menu is the one for the generations in state: the wanted images in their
// order, then those that are still there for another reason.
func (r *Reconciler) menu(fs boot.Filesystem, state *State) boot.Menu {
	m := boot.Menu{Stage: fs, Mode: cmp.Or(state.Mode, boot.ModeMenu), Timeout: state.Timeout}
	for _, name := range state.menuOrder() {
		if entries := r.entries(name, state, fs); len(entries) > 0 {
			m.Images = append(m.Images, boot.MenuImage{Name: name, Entries: entries})
		}
	}
	m.Choose(state.Default)
	return m
}

// menuOrder returns the names of images as the menu shows them: the wanted
// ones in their order, then those that are there for another reason.
func (s *State) menuOrder() []string {
	names := slices.Clone(s.Order)
	for _, name := range slices.Sorted(maps.Keys(s.Images)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func (a *application) publishMenu(ctx context.Context) error {
	return a.publish(ctx, a.location, a.next)
}

func (r *Reconciler) publish(ctx context.Context, fs boot.Filesystem, state *State) error {
	l, err := r.loader()
	if err != nil {
		return err
	}
	return l.Publish(ctx, r.menu(fs, state))
}

// bootable finds the boot loader and where it will find the stage, before
// anything is fetched that could not be booted.
func (r *Reconciler) bootable(ctx context.Context) (boot.Filesystem, error) {
	l, err := r.loader()
	if err != nil {
		return boot.Filesystem{}, err
	}
	fs, err := r.locate(ctx)
	if err != nil {
		return fs, err
	}
	return fs, l.Check(ctx, fs)
}

func (a *application) linkMenu(ctx context.Context) error { return a.link(ctx, a.location) }

// link makes the boot loader show the menu, if it does not yet.
func (r *Reconciler) link(ctx context.Context, fs boot.Filesystem) error {
	l, err := r.loader()
	if err != nil {
		return err
	}
	return l.Link(ctx, fs)
}

// protected reports whether a generation must stay: it is running, it is what
// the machine boots by choice, or it was imported and could not be had again.
func (r *Reconciler) protected(state *State, image string, g Generation) bool {
	return g.Imported || g.Deployment == r.Booted || boot.EntryID(image, g.Deployment) == state.Default
}

// remove takes surplus generations off the stage. The menu does not name them
// any more, because recordState left them out of the state.
func (a *application) remove(context.Context) error {
	keep := map[string]bool{a.Booted: true}
	for _, img := range a.next.Images {
		for _, g := range img.Generations {
			keep[g.Deployment] = true
		}
	}
	for _, removal := range a.plan.Removals {
		if keep[removal.Deployment] {
			continue
		}
		if err := a.stage.RemoveDeployment(removal.Deployment); err != nil {
			return err
		}
		a.Log.Info("removed deployment", "image", removal.Image, "generation", removal.Generation, "deployment", plan.Short(removal.Deployment))
	}
	return nil
}

// collect keeps what a failed image has got so far: the next try goes on from
// there instead of fetching it again.
func (a *application) collect(ctx context.Context) error {
	if len(a.failed()) > 0 {
		return nil
	}
	if _, err := a.stage.Deployment(a.Booted); a.Booted != "" && err != nil && !errors.Is(err, stage.ErrNoDeployment) {
		a.Log.Warn("garbage stays until the next boot: what the running deployment needs is not known", "error", err)
		return nil
	}
	collected, err := a.stage.Collect(ctx, false)
	if err == nil && collected.Objects > 0 {
		a.Log.Info("collected objects that nothing reaches", "objects", collected.Objects, "bytes", collected.Bytes)
	}
	return errors.Join(err, a.pruneDownloads())
}

// pruneDownloads removes the archives that nothing in the config repo names any
// more.
func (a *application) pruneDownloads() error {
	var sums []string
	for _, img := range a.images {
		sums = append(sums, archiveSum(img.want)...)
	}
	for _, b := range a.observation.builds {
		if b.base != nil {
			sums = append(sums, archiveSum(*b.base)...)
		}
	}
	freed, err := image.PruneDownloads(a.stage.Downloads(), sums)
	if freed > 0 {
		a.Log.Info("removed archives that no image is made of any more", "bytes", freed)
	}
	return err
}

func archiveSum(want spec.Image) []string {
	if want.Archive == nil || want.Archive.SHA256 == "" {
		return nil
	}
	return []string{want.Archive.SHA256}
}
