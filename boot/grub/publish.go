package grub

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
)

// MenuFile is where the menu lies, below the stage's directory.
const MenuFile = "boot/gitboot.cfg"

func (g *GRUB) menuPath() string { return filepath.Join(g.stage, MenuFile) }

// readMenu returns a menu, nil if there is none yet.
func readMenu(path string) ([]byte, error) {
	menu, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return menu, err
}

// Entries returns the ids of the entries that the menu on the stage has.
func (g *GRUB) Entries() (map[string]bool, error) {
	menu, err := readMenu(g.menuPath())
	return entryIDs(menu), err
}

var entryLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?m)^\s*menuentry .* --id (\S+)`) })

// entryIDs finds the entries of a menu as Render wrote it.
func entryIDs(menu []byte) map[string]bool {
	ids := map[string]bool{}
	for _, m := range entryLine().FindAllSubmatch(menu, -1) {
		ids[string(m[1])] = true
	}
	return ids
}

// render returns a menu's text. Where GRUB can write nothing down, nothing can be
// asked of it for once.
func (g *GRUB) render(ctx context.Context, s site, m boot.Menu) ([]byte, error) {
	b, err := g.block(ctx, s)
	if err != nil && m.Tries > 0 {
		return nil, err
	}
	return s.render(m, b)
}

// Stale says why what GRUB shows is not this menu, "" if it is.
func (g *GRUB) Stale(ctx context.Context, m boot.Menu) (string, error) {
	s, _, err := g.site(ctx, m.Stage)
	if err != nil {
		return "", err
	}
	return g.stale(ctx, s, m)
}

func (g *GRUB) stale(ctx context.Context, s site, m boot.Menu) (string, error) {
	want, err := g.render(ctx, s, m)
	if err != nil {
		return "", err
	}
	var uncopied string
	if s.copies() {
		if uncopied, err = g.beside().Stale(m); err != nil {
			return "", err
		}
	}
	for _, path := range g.menuPaths(s) {
		switch have, err := readMenu(path); {
		case err != nil:
			return "", err
		case have == nil:
			return "there is none yet", nil
		case !bytes.Equal(have, want):
			return "entries or settings differ", nil
		}
	}
	return uncopied, nil
}

// Fits reports, as a *loader.NoRoomError, that there is too little room for the
// copies that a menu needs.
func (g *GRUB) Fits(ctx context.Context, m boot.Menu) error {
	s, _, err := g.site(ctx, m.Stage)
	if err != nil || !s.copies() {
		return err
	}
	return g.beside().Fits(m)
}

// menuPaths are the files of a site's menu, first the one that GRUB reads. The
// stage has it in any case: that can be read where GRUB's folder cannot.
func (g *GRUB) menuPaths(s site) []string {
	if s.copies() {
		return []string{filepath.Join(g.beside().Dir, besideMenu), g.menuPath()}
	}
	return []string{g.menuPath()}
}

// Publish replaces the menu that GRUB reads with one rename.
func (g *GRUB) Publish(ctx context.Context, m boot.Menu) error {
	s, _, err := g.site(ctx, m.Stage)
	if err != nil {
		return err
	}
	if why, err := g.stale(ctx, s, m); err != nil || why == "" {
		return err
	}
	write := func(m boot.Menu) error { return g.write(ctx, s, m) }
	if s.copies() {
		return g.beside().Publish(ctx, m, write)
	}
	return write(m)
}

func (g *GRUB) write(ctx context.Context, s site, m boot.Menu) error {
	menu, err := g.render(ctx, s, m)
	if err != nil {
		return err
	}
	for _, path := range g.menuPaths(s) {
		if have, err := readMenu(path); err == nil && bytes.Equal(have, menu) {
			continue
		}
		if err := durable.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := durable.WriteSettled(path, menu, 0o600); err != nil {
			return err
		}
	}
	return nil
}
