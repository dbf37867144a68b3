package menu

import (
	"context"
	"log/slog"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/sdboot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A Program is the signed program that an image's deployment boots by.
type Program struct {
	sdboot.Program
	Image, Deployment string
}

// ProgramOf is what a deployment of an image will boot by in the menu that follows from a
// document, nil where entries are no signed programs. Neither has to be there yet.
func ProgramOf(ctx context.Context, b *Book, fs boot.Filesystem, doc *state.Machine, image, id string, m *deployment.Manifest) (*Program, error) {
	l, err := b.loader(choice(doc))
	if err != nil {
		return nil, err
	}
	s, ok := l.(*sdboot.Loader)
	if !ok || !doc.SecureBoot {
		return nil, nil
	}
	e := Entry(image, doc.Machine, state.Generation{Deployment: id}, m, fs)
	if _, at := counted(ctx, l, fs, doc); at != nil {
		e.Args = append(unified(e, *at), e.Args...)
	}
	p, err := sdboot.ProgramOf(s, fs, e)
	if err != nil || p == nil {
		return nil, err
	}
	return &Program{*p, image, id}, nil
}

// Borrows reports whether here is the certificate and not the key, so that what boots is
// signed elsewhere.
func Borrows(b *Book) (bool, error) {
	l, err := b.loader(declared(b))
	if err != nil {
		return false, err
	}
	s, ok := l.(*sdboot.Loader)
	return ok && sdboot.Borrows(s), nil
}

// Programs are those of the newest generations, in the menu's order.
func Programs(ctx context.Context, b *Book, fs boot.Filesystem, doc *state.Machine) (all []Program, err error) {
	for _, name := range doc.MenuOrder() {
		g := doc.Images[name].Newest()
		if g == nil {
			continue
		}
		m, err := b.Stage.Deployment(g.Deployment)
		if err != nil {
			return nil, err
		}
		p, err := ProgramOf(ctx, b, fs, doc, name, g.Deployment, m)
		if err != nil {
			return nil, err
		}
		if p != nil {
			all = append(all, *p)
		}
	}
	return all, nil
}

// dropUnsigned leaves out of a menu what can be done without and nobody has signed, on a
// machine that cannot.
func (p *publishing) dropUnsigned(log *slog.Logger) error {
	s, ok := p.Loader.(*sdboot.Loader)
	if !ok {
		return nil
	}
	for _, e := range []*boot.Entry{p.menu.Trial, p.menu.Recovery} {
		if e == nil {
			continue
		}
		starts, err := sdboot.Startable(s, p.menu.Stage, *e)
		if err != nil {
			return err
		}
		if starts {
			continue
		}
		log.Warn("an entry is not in the boot menu: here is only the certificate, and nobody has signed what it starts", "entry", e.ID)
		if e == p.menu.Recovery {
			p.menu = withoutRecovery(p.menu)
		} else {
			p.menu.Trial = nil
		}
	}
	return nil
}
