package rpi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/boot/rpi/tryboot"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
)

// Entries returns the ids of the entries that are published.
func (l *Loader) Entries() (map[string]bool, error) {
	f, err := marked.Read(l.Where())
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, line := range f.Ours {
		if id, ok := strings.CutPrefix(line, entryMark); ok {
			ids[id] = true
		}
	}
	return ids, nil
}

// wanted is what is to be written of a menu, and what of it config.txt is to have.
func (l *Loader) wanted(m boot.Menu) (r rendered, lines []string, err error) {
	if r, err = render(m); err != nil {
		return r, nil, err
	}
	is, err := l.block().Read()
	if err != nil {
		is = boot.Memory{} // nothing is known to be good
	}
	alone, err := l.alone()
	return r, r.lines(usual(m, is, alone)), err
}

// Stale says why what the firmware boots is not this menu, "" if it is.
func (l *Loader) Stale(_ context.Context, m boot.Menu) (string, error) {
	r, want, err := l.wanted(m)
	if err != nil {
		return "", err
	}
	f, err := marked.Read(l.Where())
	switch {
	case err != nil:
		return "", err
	case f.Ours == nil:
		return "there is none yet", nil
	case !slices.Equal(f.Lines(), want):
		return "entries differ", nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.arguments)) {
		if have, err := os.ReadFile(l.path(copyOf(name))); err != nil || string(have) != r.arguments[name] {
			return "the arguments of an entry are not there", nil
		}
	}
	if left, err := surplus(l.copies().Dir, r); err != nil || len(left) > 0 {
		return "there are arguments that no entry has", err
	}
	return l.copies().Stale(m)
}

// Fits reports, as a *loader.NoRoomError, that there is too little room for the copies that
// a menu needs.
func (l *Loader) Fits(_ context.Context, m boot.Menu) error { return l.copies().Fits(m) }

// Publish makes this what the firmware boots, by one rename.
func (l *Loader) Publish(ctx context.Context, m boot.Menu) error {
	if why, err := l.Stale(ctx, m); err != nil || why == "" {
		return err
	}
	return l.copies().Publish(ctx, m, l.write)
}

// write writes a menu whose copies are there: what config.txt names before it, and what it
// names no more goes after it.
func (l *Loader) write(m boot.Menu) error {
	r, lines, err := l.wanted(m)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.arguments)) {
		if err := writeArguments(l.path(copyOf(name)), r.arguments[name]); err != nil {
			return err
		}
	}
	if err := fault.Point("boot.arguments.published"); err != nil {
		return err
	}
	if err := marked.ChangeLast(l.Where(), func(f *marked.File) []byte { return marked.Part(f.Linked(), lines) }); err != nil {
		return err
	}
	if err := l.forget(r, lines); err != nil {
		return err
	}
	left, err := surplus(l.copies().Dir, r)
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// writeArguments writes a file of kernel arguments that is not there, or is torn.
func writeArguments(path, text string) error {
	if have, err := os.ReadFile(path); err == nil && string(have) == text {
		return nil
	}
	if err := durable.WriteSettled(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write kernel arguments: %w", err)
	}
	return nil
}

// surplus are the paths of kernel arguments that no entry has.
func surplus(dir string, r rendered) (paths []string, err error) {
	all, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range all {
		if _, named := r.arguments[e.Name()]; isArguments(e.Name()) && !named {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// Linked reports whether config.txt says that the menu of this stage is its own.
func (l *Loader) Linked(_ context.Context, stage boot.Filesystem) (bool, error) {
	return marked.IsLinked(l.Where(), stage)
}

// Link notes in config.txt whose menu this is.
func (l *Loader) Link(_ context.Context, stage boot.Filesystem) error {
	return marked.LinkLast(l.Where(), stage, (*marked.File).Lines)
}

// Unlink takes our part of config.txt, tryboot.txt if it is ours, and what they name away.
func (l *Loader) Unlink() error {
	err := marked.ChangeLast(l.Where(), func(*marked.File) []byte { return nil })
	if err == nil && l.checkTry() == nil {
		err = durable.Remove(l.path(tryboot.Try))
	}
	if err != nil {
		return fmt.Errorf("unlink the boot menu: %w", err)
	}
	left, err := surplus(l.copies().Dir, rendered{})
	for _, path := range append(left, string(l.block())) {
		err = errors.Join(err, durable.Remove(path))
	}
	if err != nil {
		return err
	}
	return l.copies().Remove()
}

// Trace returns our part of config.txt, and copies of what it names, as they are and as they
// are to be.
func (l *Loader) Trace(_ context.Context, m boot.Menu) ([]loader.Trace, error) {
	_, want, err := l.wanted(m)
	if err != nil {
		return nil, err
	}
	f, err := marked.Read(l.Where())
	if err != nil {
		return nil, err
	}
	out, err := l.copies().Trace(m)
	return append(out, loader.PartOf(f.Path, marked.Part(f.Linked(), want), f.Part(f.Lines()))), err
}
