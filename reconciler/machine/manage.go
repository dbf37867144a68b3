package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/reconciler/drift"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/bundle"
)

// Note runs do under the stage's lock with the state, and saves that; then what comes
// after, under the same lock.
func (m *Machine) Note(ctx context.Context, wait bool, do func(*state.Machine) error, after ...func(*state.Machine) error) error {
	return m.note(ctx, wait, do, inTurn(after))
}

// Change runs do under the stage's lock with the state, then saves it and
// writes the menu that follows from it; then what comes after, under the same lock.
func (m *Machine) Change(ctx context.Context, wait bool, do func(*state.Machine) error, after ...func(*state.Machine) error) error {
	return m.change(ctx, wait, do, inTurn(after))
}

func inTurn(all []func(*state.Machine) error) func(*state.Machine) error {
	return func(doc *state.Machine) error {
		for _, do := range all {
			if err := do(doc); err != nil {
				return err
			}
		}
		return nil
	}
}

// change is Change, which runs after when the menu is on the disk.
func (m *Machine) change(ctx context.Context, wait bool, do, after func(*state.Machine) error) error {
	fs, err := m.Book.Bootable(ctx)
	if err != nil {
		return err
	}
	overwrite := func(doc *state.Machine) error { return drift.Overwrite(ctx, &m.Book, fs, doc, m.now()) }
	return m.note(ctx, wait, inTurn([]func(*state.Machine) error{do, overwrite}), func(doc *state.Machine) error {
		if err := m.show(ctx, fs, doc); err != nil {
			return err
		}
		return after(doc)
	})
}

// publish makes a document the machine's, and the menu that follows from it the
// one that is shown.
func (m *Machine) publish(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	err := drift.Overwrite(ctx, &m.Book, fs, doc, m.now())
	if err == nil {
		err = doc.Save(m.Stage.Dir(), nil)
	}
	if err != nil {
		return err
	}
	return m.show(ctx, fs, doc)
}

// show brings the menu that follows from a document on the disk as the boot loader
// reads it.
func (m *Machine) show(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	if err := m.Book.Publish(ctx, fs, doc); err != nil {
		return err
	}
	return errors.Join(m.Book.Link(ctx, fs), m.Stage.Settle(ctx))
}

func (m *Machine) note(ctx context.Context, wait bool, do, saved func(*state.Machine) error) (err error) {
	defer func() { err = stage.Failed(m.Stage, err) }()
	lock, err := m.lock(ctx, wait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	doc, err := state.Edit(m.Stage.Dir(), do)
	if err != nil {
		return err
	}
	return saved(doc)
}

// Restarting has the boot loader get ready for a restart of the machine, where it boots what
// is on trial, or asked for, only then; the argument is what the firmware is to be handed.
func Restarting(ctx context.Context, m *Machine, wait bool) (argument string, err error) {
	if once, err := menu.BootsIfAsked(&m.Book); err != nil || !once {
		return "", err
	}
	err = m.Note(ctx, wait, func(doc *state.Machine) error {
		fs, err := m.Book.Locate(ctx)
		if err == nil {
			argument, err = menu.Restart(ctx, &m.Book, fs, doc)
		}
		return err
	})
	return argument, err
}

// Export writes the named deployment as a single file.
func (m *Machine) Export(ctx context.Context, name string, w io.Writer) error {
	doc, err := state.LoadMachine(m.Stage.Dir())
	if err != nil {
		return err
	}
	found, err := doc.Find(name)
	if err != nil {
		return err
	}
	return stage.Failed(m.Stage, bundle.Export(ctx, m.Stage, found.Deployment, w, m.Progress))
}

// Import puts an exported deployment on the stage and into the menu, as a new
// generation of its image.
func (m *Machine) Import(ctx context.Context, file io.Reader, wait bool) (found state.Found, err error) {
	err = m.Change(ctx, wait, func(doc *state.Machine) error {
		fs, err := m.Book.Locate(ctx)
		if err != nil {
			return err
		}
		if doc.Machine == "" {
			doc.Machine = m.Name
		}
		id, err := bundle.Import(ctx, m.Stage, file, func(id string, manifest *deployment.Manifest) error {
			return checkImported(id, manifest, doc.Machine, fs)
		}, m.Progress)
		if err != nil {
			return err
		}
		manifest, err := m.Stage.Deployment(id)
		if err != nil {
			return err
		}
		before := doc.Images[manifest.Image].Newest()
		var changed *packages.Summary
		if before != nil {
			changed = m.notedPackages(ctx, manifest.Image, before.Deployment, manifest.Layers)
		}
		found = imported(doc.Image(manifest.Image), manifest.Image, state.Generation{Deployment: id, Created: m.now(), Packages: changed, Imported: true})
		return nil
	})
	return found, err
}

// imported adds a generation that came as a file, unless it is there already.
func imported(img *state.Image, name string, g state.Generation) state.Found {
	for _, known := range img.Generations {
		if known.Deployment == g.Deployment {
			return state.Found{Image: name, Generation: known}
		}
	}
	g.N = 1
	if newest := img.Newest(); newest != nil {
		g.N = newest.N + 1
	}
	img.Add(g)
	return state.Found{Image: name, Generation: g}
}

// Remove takes one generation off the stage and out of the menu.
func (m *Machine) Remove(ctx context.Context, name string, wait bool) (found state.Found, err error) {
	err = m.change(ctx, wait, func(doc *state.Machine) error {
		if found, err = doc.Find(name); err != nil {
			return err
		}
		switch {
		case found.Deployment == m.Book.Booted:
			return fmt.Errorf("remove %s:%d: it is running; boot another entry first", found.Image, found.N)
		case found.Pin != nil:
			return fmt.Errorf("remove %s:%d: it is pinned; `gitboot unpin %s:%d` lets go of it", found.Image, found.N, found.Image, found.N)
		case boot.EntryID(found.Image, found.Deployment) == doc.Default:
			return fmt.Errorf("remove %s:%d: it is the chosen default; choose another with `gitboot boot set-default`", found.Image, found.N)
		}
		img := doc.Image(found.Image)
		img.Remove(found.Deployment)
		if len(img.Generations) == 0 && !slices.Contains(doc.Order, found.Image) {
			delete(doc.Images, found.Image)
		}
		return nil
	}, func(*state.Machine) error { // the menu has let go of it; only now may the files follow
		if err := m.Stage.RemoveDeployment(found.Deployment); err != nil {
			return err
		}
		_, err := m.Stage.Collect(ctx, false)
		return err
	})
	return found, err
}

// SetDefault makes an entry the one that boots by itself. "" goes back to the
// newest generation of the first image.
func (m *Machine) SetDefault(ctx context.Context, name string, wait bool) (found state.Found, err error) {
	err = m.Change(ctx, wait, func(doc *state.Machine) error {
		if doc.Mode != "managed" {
			return errors.New("set the default: the menu's mode is \"menu\", which leaves the default to the distribution; " +
				"declare boot.mode = \"managed\" for the machine in the config repo first")
		}
		if name == "" {
			doc.Default = ""
			return nil
		}
		if found, err = doc.Find(name); err != nil {
			return err
		}
		doc.Default = boot.EntryID(found.Image, found.Deployment)
		return nil
	})
	return found, err
}

// maxObject is more than an object is, and so little that the sizes of all that
// a manifest can name have a sum.
const maxObject = 1 << 45

// checkImported accepts of a manifest that came as a file what a config repo
// could have led to: it passed no other check on its way here.
func checkImported(id string, m *deployment.Manifest, machine string, fs boot.Filesystem) error {
	if wrong := wrongImported(m); wrong != "" {
		return fmt.Errorf("the file's manifest says what no config repo may: its %s", wrong)
	}
	if err := deployment.CheckArgs(machine, m.Image, m.KernelArgs); err != nil {
		return fmt.Errorf("the kernel arguments of %q %w", m.Image, err)
	}
	e := menu.Entry(m.Image, machine, state.Generation{Deployment: id}, m, fs)
	if err := e.Check(fs); err != nil {
		return fmt.Errorf("deployment %s cannot be put into the boot menu: %w", id, err)
	}
	if err := menu.Assembles(m, plan.Inputs{}, fs); err != nil {
		return fmt.Errorf("deployment %s would not boot here: %w", id, err)
	}
	return nil
}

func wrongImported(m *deployment.Manifest) string {
	if m.Recovery {
		return "deployment is a recovery entry's, which each machine makes itself"
	}
	if wrong := spec.WrongText("name", m.Image); wrong != "" {
		return fmt.Sprintf("image's name %.100q %s", m.Image, wrong)
	}
	for _, arg := range m.KernelArgs {
		if wrong := spec.WrongText("kernel-arg", arg); wrong != "" {
			return fmt.Sprintf("kernel argument %.100q %s", arg, wrong)
		}
	}
	if wrong := spec.WrongText("tmpfs-size", m.Root.TmpfsSize); m.Root.TmpfsSize != "" && wrong != "" {
		return fmt.Sprintf("size of the writable layer %.100q %s", m.Root.TmpfsSize, wrong)
	}
	if u := m.Root.Upper; u != nil && (u.Device != "" && spec.WrongText("root-device", u.Device) != "" || spec.WrongText("folder", u.Path) != "") {
		return fmt.Sprintf("writable layer, %.200q, is not on a disk that a config repo could name", u)
	}
	if v := m.KernelVersion; deployment.CheckText(v) != nil || strings.Contains(v, "/") || path.Clean(v) != v || v == ".." {
		return fmt.Sprintf("kernel version %.100q is no folder's name", v)
	}
	for _, p := range m.AtBoot {
		if path.Dir(p) != kind.AtBootDir || deployment.CheckText(p) != nil || m.Hooks == nil {
			return fmt.Sprintf("at-boot script %.100q is none of a hook's", p)
		}
	}
	for _, o := range m.Objects() {
		if o.Size > maxObject {
			return fmt.Sprintf("object %s has an impossible size", o.SHA256)
		}
	}
	return ""
}
