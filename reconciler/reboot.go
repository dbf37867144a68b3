package reconciler

import (
	"context"
	"log/slog"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/notice"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A signboard shows other programs, and who logs in, whether a reboot is needed.
type signboard struct {
	book    *menu.Book
	notices notice.Notices
	log     *slog.Logger
}

func (r *Reconciler) signboard() signboard {
	return signboard{&r.Machine.Book, notice.Notices{Dir: r.notices}, r.log}
}

// show finds out whether a reboot is needed, and shows it; doc is the machine's document,
// nil if it is to be read. That it cannot be shown keeps nothing from converging.
func (s signboard) show(ctx context.Context, doc *state.Machine) (r report.Reboot, known bool) {
	if s.book.Booted == "" {
		return report.Reboot{}, false
	}
	var err error
	if doc == nil {
		doc, err = state.LoadMachine(s.book.Stage.Dir())
	}
	if err == nil {
		r, err = report.RebootOf(ctx, s.book, doc)
	}
	if err == nil && r.Running == nil {
		return r, false
	}
	if err == nil {
		err = s.notices.Put(nextOf(r), func() notice.Reboot { return s.words(ctx, r) })
	}
	if err != nil {
		s.log.Warn("who logs in is not told whether a reboot is needed", "error", err)
	}
	return r, r.Running != nil
}

// words are what is shown, with all packages that change.
func (s signboard) words(ctx context.Context, r report.Reboot) notice.Reboot {
	changes, err := report.Changes(ctx, s.book.Stage, r)
	if err != nil {
		s.log.Debug("which packages a reboot changes is not known", "error", err)
	}
	out := notice.Reboot{Line: r.Line()}
	for _, c := range changes {
		out.Packages = append(out.Packages, c.Name)
	}
	return out
}

func nextOf(r report.Reboot) string {
	if r.Next == nil {
		return ""
	}
	return r.Next.Deployment
}

// reboot tells once of each boot what runs, and of each change what boots next.
func (t *teller) reboot(r report.Reboot, notices notice.Notices) {
	next := nextOf(r)
	if t.booted == r.Running.Deployment && t.next == next {
		return
	}
	t.booted, t.next = r.Running.Deployment, next
	newBoot, newNext, _ := notices.Told(t.booted, next) // what is not noted is told again after a restart
	if newBoot {
		t.tell(event.Event{Kind: event.Booted, Part: event.Machine, Revision: r.Revision, Image: r.Running.Image, Generation: r.Running.Generation})
	}
	switch {
	case newNext && r.Needed:
		e := event.Event{Kind: event.RebootNeeded, Part: event.Machine, Image: r.Next.Image, Generation: r.Next.Generation, Reason: r.Reason}
		if r.Packages != nil {
			e.Packages = r.Packages.String()
		}
		t.tell(e)
	case newNext:
		t.tell(event.Event{Kind: event.RebootNeeded, Part: event.Machine})
	}
}
