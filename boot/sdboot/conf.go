package sdboot

import (
	"context"
	"fmt"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/marked"
)

// conf reads loader.conf.
func (l *Loader) conf() (*marked.File, error) { return marked.Read(l.Where()) }

// Linked reports whether loader.conf says that the menu of this stage is shown.
func (l *Loader) Linked(_ context.Context, stage boot.Filesystem) (bool, error) {
	return marked.IsLinked(l.Where(), stage)
}

// Link notes in loader.conf whose menu this is. What the menu sets there stays.
func (l *Loader) Link(_ context.Context, stage boot.Filesystem) error {
	if err := stage.Check(); err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	c, err := l.conf()
	if err != nil {
		return fmt.Errorf("link the boot menu: %w", err)
	}
	return c.Replace(marked.Part(marked.Stage(stage), c.Settings()))
}

// Unlink takes our entries, their kernels and our part of loader.conf away.
func (l *Loader) Unlink() error {
	c, err := l.conf()
	if err != nil {
		return fmt.Errorf("unlink the boot menu: %w", err)
	}
	if err := c.Replace(nil); err != nil {
		return err
	}
	if err := l.remove(func(file) bool { return true }); err != nil {
		return err
	}
	return l.copies().Remove()
}
