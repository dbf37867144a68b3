package reconciler

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/stage"
)

func (r *Reconciler) menuPath() string { return filepath.Join(r.Stage, boot.MenuFile) }

// renderMenu gives the menu for the generations in state: the wanted images
// in their order, then those that are still there for another reason.
func (r *Reconciler) renderMenu(fs boot.Filesystem, state *State) ([]byte, error) {
	m := boot.Menu{Stage: fs, Mode: cmp.Or(state.Mode, "menu"), Timeout: state.Timeout, Default: state.Default}
	for _, name := range state.menuOrder() {
		if entries := r.entries(name, state, fs); len(entries) > 0 {
			m.Images = append(m.Images, boot.MenuImage{Name: name, Entries: entries})
		}
	}
	if m.Default = validDefault(m); m.Default == "" && len(m.Images) > 0 {
		m.Default = m.Images[0].Entries[0].ID
	}
	return boot.Render(m)
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

// defaultEntry returns the id of the entry that boots by itself, "" if that is
// the distribution's business.
func (s *State) defaultEntry() string {
	if s.Mode != "managed" {
		return ""
	}
	first := ""
	for _, name := range s.menuOrder() {
		img := s.Images[name]
		if newest := img.newest(); newest != nil && first == "" {
			first = boot.EntryID(name, newest.Deployment)
		}
		if img != nil && slices.ContainsFunc(img.Generations, func(g Generation) bool { return boot.EntryID(name, g.Deployment) == s.Default }) {
			return s.Default
		}
	}
	return first
}

// validDefault keeps a chosen default only as long as its entry exists.
func validDefault(m boot.Menu) string {
	for _, img := range m.Images {
		for _, e := range img.Entries {
			if e.ID == m.Default {
				return m.Default
			}
		}
	}
	return ""
}

func (a *application) publishMenu(context.Context) error { return a.writeMenu(a.location, a.next) }

func (r *Reconciler) writeMenu(fs boot.Filesystem, state *State) error {
	menu, err := r.renderMenu(fs, state)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(r.menuPath()); err == nil && bytes.Equal(have, menu) {
		return nil
	}
	if err := durable.MkdirAll(filepath.Dir(r.menuPath()), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(r.menuPath(), menu, 0o600)
}

// bootable finds the boot loader and where it will find the stage, before
// anything is fetched that could not be booted.
func (r *Reconciler) bootable(ctx context.Context) (boot.Filesystem, error) {
	if r.Booted == "" || r.Boot != "" {
		if _, err := r.grub(); err != nil {
			return boot.Filesystem{}, err
		}
	}
	fs, err := r.locate(ctx)
	if err != nil {
		return fs, err
	}
	// What is linked was looked at when it was.
	if linked, err := r.linked(fs); err != nil || linked {
		return fs, err
	}
	return fs, fs.CheckReadable(ctx)
}

// linked reports whether the boot loader reads the menu. A deployment that is
// running was started from it; the boot loader's own folder is then that of
// another system, and in an image there is none.
func (r *Reconciler) linked(fs boot.Filesystem) (bool, error) {
	if r.Booted != "" && r.Boot == "" {
		return true, nil
	}
	g, err := r.grub()
	if err != nil {
		return false, err
	}
	return g.Linked(fs)
}

func (a *application) linkMenu(context.Context) error { return a.link(a.location) }

// link makes the boot loader read the menu, if it does not yet.
func (r *Reconciler) link(fs boot.Filesystem) error {
	if linked, err := r.linked(fs); err != nil || linked {
		return err
	}
	g, err := r.grub()
	if err != nil {
		return err
	}
	return g.Link(fs)
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
	return err
}
