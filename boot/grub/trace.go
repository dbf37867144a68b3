package grub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
)

// Trace returns the menu's files, copies of what it names, and our part of custom.cfg,
// as they are and as they are to be.
func (g *GRUB) Trace(ctx context.Context, m boot.Menu) (out []loader.Trace, err error) {
	s, _, err := g.site(ctx, m.Stage)
	if err != nil {
		return nil, err
	}
	menu, err := g.render(ctx, s, m)
	if err != nil {
		return nil, err
	}
	for _, path := range g.menuPaths(s) {
		have, err := readMenu(path)
		if err != nil {
			return nil, err
		}
		name := path
		if path == g.menuPath() { // wherever the stage is mounted
			name = filepath.FromSlash(MenuFile)
		}
		out = append(out, loader.Trace{Name: name, Want: sum(menu), Have: sum(have)})
	}
	if g.dir == "" {
		return out, nil
	}
	if s.copies() {
		copied, err := g.beside().Trace(m)
		if err != nil {
			return nil, err
		}
		out = append(out, copied...)
	}
	c, err := g.read()
	if err != nil {
		return nil, err
	}
	_, ours, _, err := split(c.data)
	return append(out, loader.Trace{Name: filepath.Join(g.dir, "custom.cfg"), Part: true, Want: sum([]byte(s.block())), Have: sum(ours)}), err
}

// sum tells texts apart, "" of none.
func sum(text []byte) string {
	if text == nil {
		return ""
	}
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
