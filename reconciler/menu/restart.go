package menu

import (
	"context"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/reconciler/state"
)

// oneTry is how often what is on trial boots where each boot has to be asked for: who
// restarts the machine does so once for it.
const oneTry = 1

// BootsIfAsked reports whether the boot loader boots what is on trial, or asked for once,
// only if the machine is restarted for that.
func BootsIfAsked(b *Book) (bool, error) {
	l, err := b.loader(declared(b))
	_, asked := l.(loader.Restarting)
	return asked, err
}

// Restart has what boots next be booted by a restart of the machine with the argument that
// it returns, and counted. It is "" where a plain one does it.
func Restart(ctx context.Context, b *Book, fs boot.Filesystem, doc *state.Machine) (argument string, err error) {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return "", err
	}
	l, asked := p.Loader.(loader.Restarting)
	if !asked {
		return "", nil
	}
	memory, err := memoryOf(ctx, p.Loader, fs)
	if err != nil {
		return "", nil // nothing is on trial then, or asked for: a plain restart boots what boots
	}
	is, err := memory.Read()
	if err != nil {
		return "", err
	}
	id, then := p.menu.Next(is)
	if id == "" {
		return "", nil
	}
	if argument, err = l.Restart(ctx, p.menu, id); err != nil {
		return "", err
	}
	return argument, memory.Change(func(m *boot.Memory) { *m = then })
}
