package sdboot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/marked"
	"github.com/gitboot/gitboot/boot/sdboot/counter"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
)

// Stale says why what systemd-boot shows is not this menu, "" if it is.
func (l *Loader) Stale(_ context.Context, m boot.Menu) (string, error) {
	want, err := render(m, l.form)
	if err != nil {
		return "", err
	}
	files, err := l.files()
	if err != nil {
		return "", err
	}
	c, err := l.conf()
	switch {
	case err != nil:
		return "", err
	case len(files) == 0 && len(want) > 0:
		return "there is none yet", nil
	case c.Ours == nil, !slices.Equal(c.Settings(), settings(m)):
		return "settings differ", nil
	}
	if why := differ(files, want); why != "" {
		return why, nil
	}
	return l.copies().Stale(m)
}

// differ says how files are not those of a menu, "" if they are. A name that counts
// may say whatever the boot loader has counted.
func differ(files []file, want []entry) string {
	if len(files) != len(want) {
		return "entries differ"
	}
	for _, e := range want {
		i := slices.IndexFunc(files, func(f file) bool { return f.ID == e.id })
		if i < 0 || string(files[i].text) != e.text || files[i].Counted && !e.counted {
			return "entries differ"
		}
	}
	return ""
}

// Fits reports, as a *loader.NoRoomError, that there is too little room for the
// copies that a menu needs.
func (l *Loader) Fits(_ context.Context, m boot.Menu) error { return l.copies().Fits(m) }

// Publish makes this the menu: first what boots by itself, then the others, and last
// what is in it no more goes. Each entry is one rename.
func (l *Loader) Publish(ctx context.Context, m boot.Menu) error {
	if why, err := l.Stale(ctx, m); err != nil || why == "" {
		return err
	}
	for _, dir := range []string{l.copies().Dir, l.entries()} {
		if err := durable.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := l.clean(); err != nil {
		return err
	}
	return l.copies().Publish(ctx, m, l.write)
}

// clean removes what a cut has left half-done.
func (l *Loader) clean() error {
	all, err := os.ReadDir(l.entries())
	if err != nil {
		return err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), durable.TempPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(l.entries(), e.Name())))
		}
	}
	return err
}

// write makes the entries a menu's, whose copies are there.
func (l *Loader) write(m boot.Menu) error {
	want, err := render(m, l.form)
	if err != nil {
		return err
	}
	for _, e := range want {
		if err := l.writeEntry(e, m.Tries); err != nil {
			return fmt.Errorf("write boot entry %s: %w", e.id, err)
		}
		if err := fault.Point("boot.entry.published"); err != nil {
			return err
		}
	}
	c, err := l.conf()
	if err == nil {
		err = c.Replace(marked.Part(c.Linked(), settings(m)))
	}
	if err != nil {
		return err
	}
	return l.remove(func(f file) bool {
		return !slices.ContainsFunc(want, func(e entry) bool { return e.id == f.ID })
	})
}

// writeEntry writes one entry, and leaves no other file of it. What is counted goes on
// being counted under the name that it has; where it has none yet, it may boot so many
// times.
func (l *Loader) writeEntry(e entry, tries int) error {
	files, err := l.files()
	if err != nil {
		return err
	}
	name := counter.Name{ID: e.id, Ext: counter.Entry, Counted: e.counted, Left: tries}
	if !e.counted {
		name.Left = 0
	}
	for _, f := range files {
		if f.ID != e.id {
			continue
		}
		if e.counted && f.onTrial() {
			name = f.Name
		}
		if f.Name == name && string(f.text) == e.text {
			return l.remove(func(f file) bool { return f.ID == e.id && f.Name != name })
		}
	}
	if err := durable.WriteSettled(filepath.Join(l.entries(), name.String()), []byte(e.text), 0o600); err != nil {
		return err
	}
	return l.remove(func(f file) bool { return f.ID == e.id && f.Name != name })
}

// remove removes those of our entries.
func (l *Loader) remove(which func(file) bool) error {
	files, err := l.files()
	if err != nil {
		return err
	}
	gone := false
	for _, f := range files {
		if !which(f) {
			continue
		}
		if err := os.Remove(filepath.Join(l.entries(), f.String())); err != nil {
			return err
		}
		gone = true
	}
	if !gone {
		return nil
	}
	return durable.SyncDir(l.entries())
}
