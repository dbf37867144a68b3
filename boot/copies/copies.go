// Package copies keeps what a boot menu names, kernels and initramfs, where the
// boot loader can read it and not the stage: on a separate /boot, on an ESP.
//
// Copies bear the names of their objects, so that equal ones are there once, and
// that what is nobody's any more is told by its name alone. A file of another
// name is not touched. They bear their objects' times, too: of another time, a copy
// is read to see whether something else has written it.
package copies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/owned"
)

// A Folder holds copies of a stage's objects, and perhaps the menu itself.
type Folder struct {
	// Dir is the folder, Stage the stage's.
	Dir, Stage string
	// Unify, if set, says what the one program of an entry is made of: then it is such
	// programs that are there, in place of copies, and bear names of their own.
	Unify func(stage boot.Filesystem, e boot.Entry) (uki.Image, error)
}

// At returns a menu as it is for a boot loader that finds the copies in at.
func At(at boot.Filesystem, m boot.Menu) boot.Menu {
	m.Stage = at
	return with(m, func(e boot.Entry) (boot.Entry, bool) {
		e.Kernel, e.Initrd = path.Base(e.Kernel), path.Base(e.Initrd)
		return e, true
	})
}

// with returns the menu of those entries that are to stay, changed as they are.
// Images without any are left out.
func with(m boot.Menu, change func(boot.Entry) (boot.Entry, bool)) boot.Menu {
	images := m.Images
	m.Images = nil
	for _, one := range []**boot.Entry{&m.Safe, &m.Trial, &m.Recovery} {
		if *one == nil {
			continue
		}
		e, stays := change(**one)
		if *one = nil; stays {
			*one = &e
		}
	}
	for _, image := range images {
		entries := image.Entries
		image.Entries = nil
		for _, e := range entries {
			if e, stays := change(e); stays {
				image.Entries = append(image.Entries, e)
			}
		}
		if len(image.Entries) > 0 {
			m.Images = append(m.Images, image)
		}
	}
	return m
}

// Stale says why the copies are not those that a menu needs, "" if they are.
func (f Folder) Stale(m boot.Menu) (string, error) {
	w, err := f.work(m)
	switch {
	case err != nil:
		return "", err
	case len(w.lacking) > 0 && w.lacking[0].damaged:
		return fmt.Sprintf("the copy of object %.12s holds something else", w.lacking[0].name), nil
	case len(w.lacking) > 0:
		return fmt.Sprintf("object %.12s is not copied", w.lacking[0].name), nil
	case len(w.surplus) > 0:
		return "there are copies that no entry names", nil
	}
	return "", nil
}

// changed stands for what a copy holds that is not its object.
const changed = "changed"

// Trace returns the copies that a menu needs.
func (f Folder) Trace(m boot.Menu) (out []loader.Trace, err error) {
	objects, err := f.objects(m)
	for _, o := range objects {
		t := loader.Trace{Name: f.path(o.name), Copy: true, Want: o.name, Have: o.name}
		switch {
		case o.missing:
			t.Have = ""
		case o.damaged:
			t.Have = changed
		}
		out = append(out, t)
	}
	return out, err
}

// Fits reports, as a *loader.NoRoomError, that Publish would have too little room.
func (f Folder) Fits(m boot.Menu) error {
	w, err := f.work(m)
	return errors.Join(err, w.short)
}

// Publish copies what a menu lacks, has it written, and removes the copies that
// it does not name: whenever that is cut, what is written names copies that are
// there. write is handed the menu as it was given.
//
// Where there is room for the new only when the old is gone, first the entries
// are written that are in both. If that would leave an image without any, there
// is too little room: a *loader.NoRoomError, and nothing was changed.
func (f Folder) Publish(ctx context.Context, m boot.Menu, write func(boot.Menu) error) error {
	if err := durable.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	if err := owned.Check(f.Dir); err != nil {
		return err
	}
	if err := f.remove(f.halves()); err != nil {
		return err
	}
	if err := durable.Roomy(f.Dir); err != nil && !errors.Is(err, syscall.ENOSPC) { // else it grows when there is room
		return err
	}
	w, err := f.work(m)
	if err := errors.Join(err, w.short); err != nil {
		return err
	}
	if w.first != nil {
		if err := f.replace(*w.first, write); err != nil {
			return err
		}
	}
	for _, o := range w.older {
		_ = os.Chtimes(f.path(o.name), o.modified, o.modified) // or it is read once more
	}
	for _, o := range w.lacking {
		if err := f.publish(ctx, o); err != nil {
			return fmt.Errorf("%s to %s for the boot loader: %w", o.what, f.Dir, err)
		}
	}
	return f.replace(m, write)
}

// replace has a menu written whose copies are there. Each step is on the disk as
// a boot loader reads it, before the next one may be.
func (f Folder) replace(m boot.Menu, write func(boot.Menu) error) error {
	if _, err := durable.Settle(f.Dir); err != nil {
		return err
	}
	if err := fault.Point("boot.copies.settled"); err != nil {
		return err
	}
	if err := write(m); err != nil {
		return err
	}
	if err := fault.Point("boot.copies.published"); err != nil {
		return err
	}
	if _, err := durable.Settle(f.Dir); err != nil {
		return err
	}
	if err := f.remove(f.surplus(m)); err != nil {
		return err
	}
	return fault.Point("boot.copies.collected")
}

func (f Folder) publish(ctx context.Context, o object) error {
	out, err := o.make(ctx)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := os.Chtimes(out.Name(), o.modified, o.modified); err != nil {
		return err
	}
	if err := fault.Point("boot.copy.written"); err != nil {
		return err
	}
	if err := out.Publish(f.path(o.name)); err != nil {
		return err
	}
	return fault.Point("boot.copy.published")
}

// copyOf copies an object, which has to be what its name says.
func (f Folder) copyOf(ctx context.Context, name, from string) (*durable.File, error) {
	out, sum, err := durable.Copy(ctx, f.Dir, 0o600, from)
	if err != nil {
		return nil, err
	}
	if sum != name {
		out.Discard()
		return nil, errors.New("the stage's own has other content than its name says; `gitboot stage verify` finds all such")
	}
	return out, nil
}

// Remove removes all copies and the named files, and the folder if nothing else
// is in it.
func (f Folder) Remove(names ...string) error {
	if err := f.remove(f.surplus(boot.Menu{})); err != nil {
		return err
	}
	for _, name := range names {
		if err := durable.Remove(f.path(name)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		return nil
	}
	return errors.Join(err, durable.Remove(f.Dir))
}
