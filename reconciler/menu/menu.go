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
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// A Book keeps the boot menu of one stage.
type Book struct {
	Stage *stage.Stage
	// Place is where the stage lies or, of a preview, will lie.
	Place string
	// Folder is that of GRUB's custom.cfg, or where the partition of systemd-boot is
	// mounted; empty: looked for.
	Folder string
	// Declared is the boot loader that the config repo wants; nil is what the stage's
	// state says.
	Declared *boot.Choice
	// SigningKeys is the folder of the keys that sign what boots where that is wanted
	// (package secureboot).
	SigningKeys string
	// Booted is the id of the deployment that is running, empty if this system
	// was not booted by gitboot.
	Booted string
	// Location, if set, is where GRUB and process 1 will find the stage: for a
	// stage that is prepared on a disk which this machine does not boot.
	Location *boot.Filesystem
	// FolderLocation, if set, is where Folder will lie, likewise.
	FolderLocation *boot.Filesystem
	// Arch is the architecture of the machine that boots, "" for this computer's.
	Arch string
	Log  *slog.Logger
}

// Menu is the one for the generations in state: the wanted images in their
// order, then those that are still there for another reason, and the recovery entry,
// which boots by itself if nothing else is left: neither one of these, nor another
// system. What is on trial says to process 1
// where that is counted, the zero Location on the stage; nil is nowhere.
func (b *Book) Menu(fs boot.Filesystem, doc *state.Machine, counted *deployment.Location) boot.Menu {
	m := boot.Menu{Stage: fs, Mode: cmp.Or(doc.Mode, boot.ModeMenu), Timeout: doc.Timeout}
	add := onTrial
	if doc.SecureBoot {
		add = unified
	}
	var all []boot.Candidate
	broken := stage.Broken(b.Stage, doc.Deployments())
	for _, name := range doc.MenuOrder() {
		entries := b.entries(name, doc, broken, fs, counted, add)
		if len(entries) > 0 {
			m.Images = append(m.Images, boot.MenuImage{Name: name, Entries: entries})
		}
		for _, e := range entries {
			all = append(all, boot.Candidate{Image: name, ID: e.ID, State: e.State})
		}
	}
	m.Safe, m.Trial, m.Recovery = safeGraphics(b, doc, fs), b.trial(doc, fs), b.recovery(doc, fs)
	if m.Mode == boot.ModeManaged {
		m.Default, m.Fallback = choose(doc, all, m.Recovery != nil && m.Recovery.State == "")
	}
	if counted != nil && !doc.SecureBoot && !counted.ByTryboot() {
		fallsBack(&m, *counted)
	}
	return m
}

// choose says what boots by itself, and what else. Where nothing is thought to boot and
// there is no other system, which is likelier to be of use, that is the recovery entry
// or, without one, what may boot all the same.
func choose(doc *state.Machine, all []boot.Candidate, recovers bool) (boots, fallback string) {
	boots, fallback = boot.Decide(all, doc.Default)
	switch {
	case !doc.Alone || len(all) == 0 || fallback != "":
	case boots == "" && recovers:
		boots = boot.RecoveryID
	case recovers:
		fallback = boot.RecoveryID
	case boots != "":
		fallback = boot.Last(all, boots)
	}
	return boots, fallback
}

// Alone reports whether the boot loader has no entry of another system; was is what was
// known, which stands where it cannot be seen.
func (b *Book) Alone(was bool) bool {
	l, err := b.loader(declared(b))
	if err != nil {
		return was
	}
	if s, ok := l.(loader.Shared); ok {
		if others := s.Others(); others.Known {
			return others.None
		}
	}
	return was
}

// withoutRecovery is a menu as it is where there is no room for what can be done
// without.
func withoutRecovery(m boot.Menu) boot.Menu {
	if m.Recovery = nil; m.Default == boot.RecoveryID {
		m.Default = ""
	}
	if m.Fallback == boot.RecoveryID {
		m.Fallback = ""
	}
	return m
}

// A publishing is the menu that follows from a document, and where the boot loader
// counts its default, nil if it cannot, or has nothing to. Left is how many boots
// that has left.
type publishing struct {
	loader.Loader
	menu   boot.Menu
	memory loader.Memory
	left   int
}

// publishing finds out how a menu is published. Boots are counted of a default that
// is on trial, unless somebody has to choose each.
func (b *Book) publishing(ctx context.Context, fs boot.Filesystem, doc *state.Machine) (p publishing, err error) {
	if p.Loader, err = b.loader(choice(doc)); err != nil {
		return p, err
	}
	var at *deployment.Location
	p.memory, at = counted(ctx, p.Loader, fs, doc)
	p.menu = b.Menu(fs, doc, at)
	if err := p.dropUnsigned(b.Log); err != nil {
		return p, err
	}
	if p.menu.Recovery != nil && errors.As(p.Loader.Fits(ctx, p.menu), new(*loader.NoRoomError)) {
		b.Log.Warn("the recovery entry is not in the boot menu: where the boot loader reads it, there is no room for it")
		p.menu = withoutRecovery(p.menu)
	}
	e := p.menu.Entry(p.menu.Default)
	if e == nil || e.State != boot.Trying || doc.Timeout != nil && *doc.Timeout < 0 {
		p.memory = nil
	}
	if p.memory != nil {
		p.menu.Tries, p.left = doc.HowMany(), doc.Verdicts.Left(e.ID)
		if _, asked := p.Loader.(loader.Restarting); asked {
			p.menu.Tries, p.left = oneTry, min(p.left, oneTry)
		}
	}
	return p, nil
}

// counted finds where boots are counted, nil if nowhere.
func counted(ctx context.Context, l loader.Loader, fs boot.Filesystem, doc *state.Machine) (loader.Memory, *deployment.Location) {
	if doc.Mode != boot.ModeManaged {
		return nil, nil
	}
	memory, err := memoryOf(ctx, l, fs)
	if err != nil { // which Uncounted tells
		return nil, nil
	}
	at := memory.Location()
	return memory, &at
}

// stale says why the boot loader does not count what the menu has on trial, "" if
// it does.
func (p publishing) stale() string {
	if p.memory == nil {
		return ""
	}
	switch is, err := p.memory.Read(); {
	case err != nil:
		return "what the boot loader remembers is damaged"
	case is.Trying != p.menu.Default, is.UsedUp(p.menu.Default) && p.left > 0:
		return "the boot loader does not count boots of what is new yet"
	}
	return ""
}

// Publish makes the menu that follows from a document the one that is shown. What
// is on trial is counted before the menu has it boot by itself.
func (b *Book) Publish(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return err
	}
	if p.stale() != "" {
		err := p.memory.Change(func(is *boot.Memory) { is.Try(p.menu.Default, p.left) })
		if err != nil {
			return fmt.Errorf("have the boot loader count boots of what is new: %w", err)
		}
	}
	if err := fault.Point("boot.counted"); err != nil {
		return err
	}
	return p.Loader.Publish(ctx, p.menu)
}

// Uncounted says why boots of what is new cannot be counted, nil if they are, or
// need not be.
func (b *Book) Uncounted(ctx context.Context, fs boot.Filesystem, mode string) error {
	if mode != boot.ModeManaged {
		return nil
	}
	_, err := b.Memory(ctx, fs)
	return err
}

// Fits reports that the boot loader has too little room for the menu that
// follows from a document.
func (b *Book) Fits(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return err
	}
	return p.Loader.Fits(ctx, p.menu)
}

// Bootable finds the boot loader and where it will find the stage, before
// anything is fetched that could not be booted.
func (b *Book) Bootable(ctx context.Context) (boot.Filesystem, error) {
	l, err := b.loader(declared(b))
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
	l, err := b.loader(declared(b))
	if err != nil {
		return err
	}
	if err := l.Link(ctx, fs); err != nil {
		return err
	}
	return loaders(b).unlinkOthers(ctx, fs, l)
}

// Observe says why the menu that is shown is not the one that follows from a
// document, "" if it is, and whether the boot loader reads it.
func (b *Book) Observe(ctx context.Context, fs boot.Filesystem, doc *state.Machine) (stale string, linked bool, err error) {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return "", false, err
	}
	return p.observe(ctx, fs)
}

func (p publishing) observe(ctx context.Context, fs boot.Filesystem) (stale string, linked bool, err error) {
	if stale, err = p.Stale(ctx, p.menu); err != nil {
		return "", false, err
	}
	linked, err = p.Linked(ctx, fs)
	return cmp.Or(stale, p.stale()), linked, err
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
	l, err := b.loader(declared(b))
	if err != nil { // what is published on the stage can be read where GRUB cannot
		l = grub.Booted(b.Stage.Dir())
	}
	return l.Entries()
}

// Default returns the id of the entry, of those that are shown, that boots by
// itself, "" if that is the distribution's business.
func (b *Book) Default(doc *state.Machine, shown map[string]bool) string {
	boots, _ := b.Choice(doc, shown)
	return boots
}

// Choice returns that, and which boots if that does not, "" for the distribution's
// own.
func (b *Book) Choice(doc *state.Machine, shown map[string]bool) (boots, fallback string) {
	if doc.Mode != boot.ModeManaged {
		return "", ""
	}
	var all []boot.Candidate
	broken := stage.Broken(b.Stage, doc.Deployments())
	for _, name := range doc.MenuOrder() {
		img := doc.Images[name]
		if img == nil {
			continue
		}
		for _, g := range slices.Backward(img.Generations) {
			if id := boot.EntryID(name, g.Deployment); shown[id] {
				all = append(all, boot.Candidate{Image: name, ID: id, State: stateOf(doc, broken, g)})
			}
		}
	}
	return choose(doc, all, shown[boot.RecoveryID])
}
