package machine

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gitboot/gitboot/reconciler/lending"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A borrower gets the signatures of what the images would boot by, on a machine that has
// the certificate alone. What is signed is known when it is staged, and not before: it
// waits, staged, until there is a signature of it.
type borrower struct{ *Job }

// program is what a deployment of an image would boot by that somebody has yet to sign;
// nil if nobody has to.
func (b borrower) program(ctx context.Context, image, id string) (*menu.Program, error) {
	m, err := b.Stage.Deployment(id)
	if err != nil {
		return nil, err
	}
	p, err := menu.ProgramOf(ctx, &b.Book, b.location, b.next, image, id, m)
	if err != nil || p == nil || p.Signer.CanSign() || p.Signature != nil {
		return nil, err
	}
	return p, nil
}

// lacking are the images that wait for signatures: those that are not staged, and those
// whose signature is not there when it is asked for.
func (b borrower) lacking(ctx context.Context) (out []plan.Unsigned, err error) {
	if !b.next.SecureBoot || len(b.plan.Stagings) == 0 {
		return nil, nil
	}
	if borrows, err := menu.Borrows(&b.Book); err != nil || !borrows {
		return nil, err
	}
	for _, s := range b.plan.Stagings {
		u := plan.Unsigned{Image: s.Image, By: cmp.Or(b.Wants.Boot.SignedBy, "`gitboot keys publish "+b.Name+"` where the key is")}
		if s.Ready != "" {
			p, err := b.program(ctx, s.Image, s.Ready)
			if err != nil {
				return nil, err
			}
			if p == nil {
				continue
			}
			found, failure := lending.Published(ctx, &b.Find, b.images[s.Image].want, *p)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if found {
				continue
			}
			if u.Deployment, u.Cmdline = s.Ready, p.Cmdline; failure != nil {
				u.Failure = failure.Error()
			}
		}
		out = append(out, u)
	}
	return out, nil
}

// get is the step that keeps the signatures of what is published.
func (b borrower) get(a *application) func(context.Context, []plan.Action) error {
	return func(ctx context.Context, _ []plan.Action) error {
		for _, s := range a.stagings {
			if s.err != nil {
				continue
			}
			p, err := b.program(ctx, s.Image, s.id)
			if err == nil && p != nil {
				err = lending.Borrow(ctx, &a.Find, a.Stage, s.image.want, *p)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				s.err = fmt.Errorf("signature: %w", err)
				a.Log.Error("image failed; it stays as it is", "image", s.Image, "error", s.err)
			}
		}
		return nil
	}
}
