package grub

import (
	"context"
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
		out = append(out, loader.Trace{Name: name, Want: loader.Sum(menu), Have: loader.Sum(have)})
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
	return append(out, loader.PartOf(filepath.Join(g.dir, "custom.cfg"), []byte(s.block()), ours)), err
}
