// Package takeover has the running kernel start, in the boot loader's place, what that
// would boot next: without firmware, and with the same kernel, initramfs and command
// line. It decides nothing anew. What is booted, and what is counted for it, is what the
// boot loader's menu says by the rules of package boot, written down before the machine
// goes down: a kernel that hangs is found by the boot loader as one that it has booted
// itself. Where anything is in doubt, there is an error, and an ordinary restart is due.
package takeover

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/kexec"
	"github.com/gitboot/gitboot/internal/program"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// Restart restarts the machine so, in an orderly way. If it cannot, nothing is changed.
func Restart(ctx context.Context, book *menu.Book) error {
	if err := program.Kexecs(); err != nil {
		return err
	}
	p := &prepared{stage: book.Stage}
	if err := p.locked(ctx, func() error { return p.prepare(ctx, book) }); err != nil {
		return err
	}
	if err := program.Kexec(ctx); err != nil {
		return errors.Join(err, p.undo(context.WithoutCancel(ctx)))
	}
	return nil
}

// Possible says why Restart could not, as far as that can be seen beforehand.
func Possible(ctx context.Context, book *menu.Book) error {
	if err := program.Kexecs(); err != nil {
		return err
	}
	if err := kexec.Possible(); err != nil {
		return err
	}
	_, err := next(ctx, book)
	return err
}

// A prepared is what starts when the machine is restarted by kexec.
type prepared struct {
	stage *stage.Stage
	next  menu.Next
}

// undo takes back what was prepared.
func (p *prepared) undo(ctx context.Context) error {
	return errors.Join(kexec.Unload(), p.locked(ctx, p.next.TakeBack))
}

// locked does something while nobody else changes what boots.
func (p *prepared) locked(ctx context.Context, do func() error) error {
	lock, err := p.stage.Lock(ctx, false)
	if err != nil {
		return err
	}
	return errors.Join(do(), lock.Release())
}

// next is what the boot loader would boot.
func next(ctx context.Context, book *menu.Book) (menu.Next, error) {
	doc, err := state.LoadMachine(book.Stage.Dir())
	if err != nil {
		return menu.Next{}, err
	}
	fs, err := book.Locate(ctx)
	if err != nil {
		return menu.Next{}, err
	}
	return book.Next(ctx, fs, doc)
}

// prepare loads what boots next, and notes that as the boot loader would.
func (p *prepared) prepare(ctx context.Context, book *menu.Book) error {
	var err error
	if p.next, err = next(ctx, book); err != nil {
		return err
	}
	if err := p.load(); err != nil {
		return fmt.Errorf("load the kernel of %s: %w", p.next.Entry.ID, err)
	}
	if err := p.next.Note(); err != nil {
		return errors.Join(fmt.Errorf("note for the boot loader that %s is booted: %w", p.next.Entry.ID, err), kexec.Unload())
	}
	return nil
}

// load loads the kernel. The first of its arguments says what has started it.
func (p *prepared) load() error {
	e := p.next.Entry
	via := (deployment.Cmdline{Via: deployment.ViaKexec}).Optional()
	words, err := deployment.Words(e.Kernel, append(via, e.Args...))
	if err != nil {
		return err
	}
	return kexec.Load(filepath.Join(p.stage.Dir(), e.Kernel), filepath.Join(p.stage.Dir(), e.Initrd), deployment.Line(words))
}
