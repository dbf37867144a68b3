// Package menu turns what is staged into what a boot loader shows: which entries
// there are, where the stage is found at boot, and which loader publishes it.
package menu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/grub"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/place"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// A Book keeps the boot menu of one stage.
type Book struct {
	Stage *stage.Stage
	// Place is where the stage lies or, of a preview, will lie.
	Place string
	// Folder is that of the boot loader's custom.cfg, empty: looked for.
	Folder string
	// Booted is the id of the deployment that is running, empty if this system
	// was not booted by gitboot.
	Booted string
	// Location, if set, is where GRUB and process 1 will find the stage: for a
	// stage that is prepared on a disk which this machine does not boot.
	Location *boot.Filesystem
	Log      *slog.Logger
}

// loader is the boot loader that publishes the menu. A deployment that is
// running was started by one whose own folder is that of another system.
func (b *Book) loader() (loader.Loader, error) {
	if b.Booted != "" && b.Folder == "" {
		return grub.Booted(b.Stage.Dir()), nil
	}
	g, err := grub.Open(b.Folder, b.Stage.Dir())
	if err != nil {
		return nil, fmt.Errorf("find the boot loader: %w", err)
	}
	return g, nil
}

// Menu is the one for the generations in state: the wanted images in their
// order, then those that are still there for another reason.
func (b *Book) Menu(fs boot.Filesystem, doc *state.Machine) boot.Menu {
	m := boot.Menu{Stage: fs, Mode: cmp.Or(doc.Mode, boot.ModeMenu), Timeout: doc.Timeout}
	for _, name := range doc.MenuOrder() {
		if entries := b.entries(name, doc, fs); len(entries) > 0 {
			m.Images = append(m.Images, boot.MenuImage{Name: name, Entries: entries})
		}
	}
	m.Choose(doc.Default)
	m.Trial = b.trial(doc, fs)
	return m
}

// Publish makes the menu that follows from a document the one that is shown.
func (b *Book) Publish(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	l, err := b.loader()
	if err != nil {
		return err
	}
	return l.Publish(ctx, b.Menu(fs, doc))
}

// Fits reports that the boot loader has too little room for the menu that
// follows from a document.
func (b *Book) Fits(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	l, err := b.loader()
	if err != nil {
		return err
	}
	return l.Fits(ctx, b.Menu(fs, doc))
}

// Bootable finds the boot loader and where it will find the stage, before
// anything is fetched that could not be booted.
func (b *Book) Bootable(ctx context.Context) (boot.Filesystem, error) {
	l, err := b.loader()
	if err != nil {
		return boot.Filesystem{}, err
	}
	fs, err := b.Locate(ctx)
	if err != nil {
		return fs, err
	}
	return fs, l.Check(ctx, fs)
}

// Link makes the boot loader show the menu, if it does not yet.
func (b *Book) Link(ctx context.Context, fs boot.Filesystem) error {
	l, err := b.loader()
	if err != nil {
		return err
	}
	return l.Link(ctx, fs)
}

// Observe says why the menu that is shown is not the one that follows from a
// document, "" if it is, and whether the boot loader reads it.
func (b *Book) Observe(ctx context.Context, fs boot.Filesystem, doc *state.Machine) (stale string, linked bool, err error) {
	l, err := b.loader()
	if err != nil {
		return "", false, err
	}
	if stale, err = l.Stale(ctx, b.Menu(fs, doc)); err != nil {
		return "", false, err
	}
	linked, err = l.Linked(ctx, fs)
	return stale, linked, err
}

// Locate finds the file system that GRUB and process 1 will look for. That of
// a stage which is not there yet is its parent's.
func (b *Book) Locate(ctx context.Context) (boot.Filesystem, error) {
	if b.Location != nil {
		return *b.Location, nil
	}
	if _, err := os.Stat(b.Place); !errors.Is(err, fs.ErrNotExist) {
		return place.Find(ctx, b.Place)
	}
	found, err := place.Find(ctx, filepath.Dir(filepath.Clean(b.Place)))
	found.Path = path.Join(found.Path, filepath.Base(b.Place))
	return found, err
}

// Shown returns the ids of the entries that are published.
func (b *Book) Shown() (map[string]bool, error) {
	// What is published can be read where the boot loader cannot.
	return grub.Booted(b.Stage.Dir()).Entries()
}

// Default returns the id of the entry, of those that are shown, that boots by
// itself, "" if that is the distribution's business.
func Default(doc *state.Machine, shown map[string]bool) string {
	if doc.Mode != boot.ModeManaged {
		return ""
	}
	var ids []string
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil {
			continue
		}
		for _, g := range slices.Backward(img.Generations) {
			if id := boot.EntryID(name, g.Deployment); shown[id] {
				ids = append(ids, id)
			}
		}
	}
	return boot.DefaultOf(ids, doc.Default)
}
