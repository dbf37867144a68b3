package grub

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
)

// MenuFile is where the menu lies, below the stage's directory.
const MenuFile = "boot/gitboot.cfg"

func (g *GRUB) menuPath() string { return filepath.Join(g.stage, MenuFile) }

// published returns the menu, nil if there is none yet.
func (g *GRUB) published() ([]byte, error) {
	menu, err := os.ReadFile(g.menuPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return menu, err
}

// Entries returns the ids of the entries that the menu on the stage has.
func (g *GRUB) Entries() (map[string]bool, error) {
	menu, err := g.published()
	return entryIDs(menu), err
}

var entryLine = regexp.MustCompile(`(?m)^\s*menuentry .* --id (\S+)`)

// entryIDs finds the entries of a menu as Render wrote it.
func entryIDs(menu []byte) map[string]bool {
	ids := map[string]bool{}
	for _, m := range entryLine.FindAllSubmatch(menu, -1) {
		ids[string(m[1])] = true
	}
	return ids
}

// Stale says why the menu on the stage is not this one, "" if it is.
func (g *GRUB) Stale(_ context.Context, m boot.Menu) (string, error) {
	want, err := Render(m)
	if err != nil {
		return "", err
	}
	switch have, err := g.published(); {
	case err != nil:
		return "", err
	case have == nil:
		return "there is none yet", nil
	case !bytes.Equal(have, want):
		return "entries or settings differ", nil
	}
	return "", nil
}

// Publish replaces the menu on the stage with one rename.
func (g *GRUB) Publish(_ context.Context, m boot.Menu) error {
	menu, err := Render(m)
	if err != nil {
		return err
	}
	if have, err := g.published(); err == nil && bytes.Equal(have, menu) {
		return nil
	}
	if err := durable.MkdirAll(filepath.Dir(g.menuPath()), 0o700); err != nil {
		return err
	}
	return durable.WriteFile(g.menuPath(), menu, 0o600)
}
