package menu

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A Next is what the boot loader boots if it is started now and nobody chooses, for who
// starts it in the boot loader's place, and has to note then what that would.
type Next struct {
	Entry boot.Entry
	// memory is the boot loader's, nil if it has none; it remembers is, and then.
	memory   loader.Memory
	is, then boot.Memory
}

// Next finds that out. The error says why only the boot loader itself can tell, or is to.
func (b *Book) Next(ctx context.Context, fs boot.Filesystem, doc *state.Machine) (n Next, err error) {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return n, err
	}
	stale, linked, err := p.observe(ctx, fs)
	switch {
	case err != nil:
		return n, err
	case stale != "" || !linked:
		return n, errors.New("the boot menu is not as it is to be: " + cmp.Or(stale, "the boot loader does not show it") + "; the next reconcile writes it")
	}
	if l, ok := p.Loader.(loader.Shared); ok {
		if asked := l.Others().Asked; asked != "" {
			return n, fmt.Errorf("the boot loader was asked for its entry %.80q (grub-reboot or bootctl)", asked)
		}
	}
	if memory, err := memoryOf(ctx, p.Loader, fs); err == nil { // else nothing is counted, or asked for
		n.memory = memory
		if n.is, err = memory.Read(); err != nil {
			return n, err
		}
	}
	id, then := p.menu.Next(n.is)
	e := p.menu.Entry(id)
	switch {
	case e == nil:
		return n, errors.New("what boots next is decided in the boot loader: by somebody, or by its own menu")
	case then.Left == 0 && then != n.is && then.Trying == id && then.Once == n.is.Once:
		return n, errors.New("it is the last try of what is on trial, and that is for the boot loader to count")
	}
	n.Entry, n.then = *e, then
	return n, nil
}

// Note has the boot loader remember what it would if it had booted it.
func (n Next) Note() error { return n.remember(n.is, n.then) }

// TakeBack has it remember what it did before.
func (n Next) TakeBack() error { return n.remember(n.then, n.is) }

func (n Next) remember(from, to boot.Memory) error {
	if n.memory == nil || from == to {
		return nil
	}
	changed := true
	err := n.memory.Change(func(m *boot.Memory) {
		if changed = *m != from; !changed {
			*m = to
		}
	})
	if err == nil && changed {
		err = errors.New("what the boot loader remembers was changed meanwhile")
	}
	return err
}
