package machine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/drift"
	"github.com/gitboot/gitboot/reconciler/lending"
	"github.com/gitboot/gitboot/reconciler/library"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// trace notes that actions of the plan's list are being executed.
func (j *Job) trace(list []plan.Action) {
	for _, act := range list {
		j.steps = append(j.steps, state.Step{Action: act, Began: j.Now().UTC()})
		if j.req.Step != nil {
			j.req.Step(act)
		}
	}
}

// keepRecord keeps what a run did, if it did anything. The caller holds the lock.
func (j *Job) keepRecord(began time.Time, result Result, failure error) error {
	staged := j.plan.Held() && len(j.steps) > 0 // and what it is for comes later
	if !result.Changed && !staged && failure == nil {
		return nil
	}
	run := state.Run{Part: "machine", Trigger: j.req.Trigger, Revision: j.Revision.Hash, Subject: j.Revision.Subject, Author: j.Revision.Author, Approved: j.approved, Began: began, Ended: j.Now().UTC(), Steps: j.steps}
	failed := maps.Clone(result.Failed)
	maps.DeleteFunc(failed, func(_ string, err error) bool { return notPending(err) == nil })
	run.Fail(failed, failure)
	return run.Save(j.Stage.Dir())
}

// recordState notes the new generations and forgets the surplus ones. It
// comes before the menu: a run cut in between leaves a menu that differs from
// the state, which the next run sees and puts right.
func (a *application) recordState(ctx context.Context, list []plan.Action) error {
	now, failed := a.now(), a.failed()
	a.trace(list)
	for _, s := range a.stagings {
		noted := a.next.Image(s.Image)
		noted.Fail(s.err, s.image.cause, whose(a.Name, s.Image), now)
		if s.err == nil {
			noted.Ready = nil
			g := s.generation(a.Revision.Hash, now)
			noted.Add(g)
			a.try(s.Image, g)
		}
	}
	for _, removal := range a.plan.Removals {
		// An image that failed or is late keeps all it has: its surplus was
		// counted with the generation that did not come.
		if img := a.next.Images[removal.Image]; img != nil && failed[removal.Image] == nil && !a.turns.left(removal.Image) {
			img.RemoveNumber(removal.Generation)
		}
	}
	a.next.DropUnwanted(a.wanted)
	// Until this run has come to its end, the last one's failure stands.
	a.next.Failure, a.next.Init = a.doc.Failure, a.program
	if err := a.Book.Foresee(ctx, a.location, a.next); err != nil {
		return err
	}
	return keeper{a}.save(a.next)
}

// try puts a new generation on trial, where boots are counted.
func (a *application) try(image string, g state.Generation) {
	if a.uncounted == nil {
		a.next.Try(image, g, a.now())
		state.From(a.next, a.doc, image, g.Deployment)
	}
}

// A keeper keeps what a run has come to, and what is staged for the one that publishes it.
type keeper struct{ *application }

// save publishes a document, unless that is what is published already.
func (a keeper) save(doc *state.Machine) (err error) {
	if err = doc.Save(a.Stage.Dir(), a.saved); err == nil {
		a.saved, err = doc.Clone()
	}
	return err
}

// drift notes what others have changed, whatever becomes of the run.
func (a keeper) drift(_ context.Context, list []plan.Action) error {
	if len(list) == 0 {
		return nil
	}
	a.trace(list)
	for _, act := range list {
		a.Log.Warn("something is not as it was written", "path", act.Path, "how", act.Reason)
	}
	noted := *a.doc
	noted.Drift = a.next.Drift
	return a.save(&noted)
}

// note keeps what is staged and not published, and no more: what is published
// stays as it is.
func (a keeper) note(context.Context, []plan.Action) error {
	for _, s := range a.stagings {
		noted := a.next.Image(s.Image)
		if noted.Fail(s.err, s.image.cause, whose(a.Name, s.Image), a.now()); s.err == nil && s.Ready == "" {
			g := s.generation(a.Revision.Hash, a.now())
			noted.Ready = &g
		}
	}
	a.next.Failure, a.next.Init = a.doc.Failure, a.program // the failure until this run has come to its end
	return a.save(a.next)
}

// replace removes the deployments that waited to be published and do so no more:
// none of them was ever in a menu.
func (a keeper) replace(ctx context.Context, _ []plan.Action) error {
	staying, gone := a.next.Deployments(), false
	for _, img := range a.doc.Images {
		if img.Ready == nil || slices.Contains(staying, img.Ready.Deployment) || img.Ready.Deployment == a.Book.Booted {
			continue
		}
		if err := a.Stage.RemoveDeployment(img.Ready.Deployment); err != nil {
			return err
		}
		gone = true
	}
	if !gone || len(a.failed()) > 0 {
		return nil
	}
	_, err := a.Stage.Collect(ctx, false)
	return err
}

// generation is what a staged image becomes. Of whom it came is known now, as the kernel is
// fetched beside the layers.
func (s *staging) generation(revision string, now time.Time) state.Generation {
	if s.Ready == "" && s.fetched != nil && s.image.opened != nil {
		s.fetched.From = readymade.Givers(s.image.opened.Given())
	}
	return state.Generation{N: s.Generation, Deployment: s.id, Revision: revision, Created: now, Inputs: s.Inputs, Packages: s.packages, Fetched: s.fetched, Test: s.test}
}

// clear forgets what this run has come past: an earlier one's failure, what was
// written before, and what was not as it was written.
func (a *application) clear(ctx context.Context, _ []plan.Action) error {
	if a.next.Failure = nil; !a.plan.Held() {
		a.next.Written = a.next.Written.Settled()
	}
	if len(plan.Standing(a.next.Drift)) > 0 {
		seen, err := drift.Seen(ctx, &a.Book, a.location, a.next, a.next)
		if err != nil {
			return err
		}
		a.next.Drift = plan.Mend(a.next.Drift, seen, a.now())
	}
	stage.Remember(a.Stage)
	tellForgotten(a.Job, a.Remember())
	return keeper{a}.save(a.next)
}

// remember keeps what the revision applied last wants, where a run that does nothing
// else had to find it out, as the first of a newer gitboot has.
func remember(ctx context.Context, j *Job) {
	if !j.Lacking() || j.Revision.Hash != j.doc.Revision {
		return
	}
	lock, err := j.Stage.Lock(ctx, false)
	if err == nil {
		err = errors.Join(j.Remember(), lock.Release())
	}
	tellForgotten(j, err)
}

func tellForgotten(j *Job, err error) {
	if err != nil {
		j.Log.Debug("the next run reads the whole config repo again", "error", err)
	}
}

func (a *application) publishMenu(ctx context.Context, list []plan.Action) error {
	a.trace(list)
	return a.Book.Publish(ctx, a.location, a.next)
}

func (a *application) linkMenu(ctx context.Context, list []plan.Action) error {
	a.trace(list)
	return a.Book.Link(ctx, a.location)
}

// remove takes surplus generations off the stage. The menu does not name them
// any more, because recordState left them out of the state.
func (a *application) remove(_ context.Context, list []plan.Action) error {
	keep := map[string]bool{a.Book.Booted: true}
	if a.next.Recovery != nil {
		keep[a.next.Recovery.Deployment] = true
	}
	for _, img := range a.next.Images {
		for _, g := range img.Generations {
			keep[g.Deployment] = true
		}
	}
	for _, act := range list {
		if keep[act.Subject] {
			continue
		}
		a.trace([]plan.Action{act})
		if err := a.Stage.RemoveDeployment(act.Subject); err != nil {
			return err
		}
		a.Log.Info("removed deployment", "image", act.Image, "generation", act.Generation, "deployment", plan.Short(act.Subject))
	}
	return nil
}

// collect keeps what a failed image has got so far: the next try goes on from
// there instead of fetching it again.
func (a *application) collect(ctx context.Context, list []plan.Action) error {
	if len(a.failed()) > 0 {
		return nil
	}
	if _, err := a.Stage.Deployment(a.Book.Booted); a.Book.Booted != "" && err != nil && !errors.Is(err, stage.ErrNoDeployment) {
		a.Log.Warn("garbage stays until the next boot: what the running deployment needs is not known", "error", err)
		return nil
	}
	a.trace(list)
	collected, err := a.Stage.Collect(ctx, false)
	if err == nil && collected.Objects > 0 {
		a.Log.Info("collected objects that nothing reaches", "objects", collected.Objects, "bytes", collected.Bytes)
	}
	return errors.Join(err, a.pruneDownloads(), library.Collect(a.Stage, a.next), lending.Settle(a.Stage))
}

// askDocuments is how long registries are asked for what belongs to images, for which
// nothing else waits.
const askDocuments = 20 * time.Second

// A librarian keeps what registries say of what is staged, for other machines. That it
// cannot fails nothing.
type librarian struct{ *application }

// keep keeps what is known already, before what is staged counts: no later run would.
func (a librarian) keep(ctx context.Context, _ []plan.Action) error {
	return a.books(ctx, func(b library.Book) error { return library.Keep(library.On(a.Stage), b, a.now()) })
}

// complete asks for the rest, when nothing waits for it any more.
func (a librarian) complete(ctx context.Context, _ []plan.Action) error {
	asking, cancel := context.WithTimeout(ctx, askDocuments)
	defer cancel()
	return a.books(ctx, func(b library.Book) error { return library.Complete(asking, library.On(a.Stage), &a.Find, b, a.now()) })
}

func (a librarian) books(ctx context.Context, do func(library.Book) error) error {
	for _, s := range a.stagings {
		if s.err != nil || s.image.want.Pull == nil {
			continue
		}
		err := do(library.Book{Pull: s.image.want.Pull, Origin: s.image.origin, Opened: s.image.opened})
		if err != nil && ctx.Err() == nil {
			a.Log.Warn("what its registry says of an image is not kept for other machines", "image", s.Image, "error", err)
		}
	}
	return ctx.Err()
}

// pruneDownloads removes the archives that no image of the machine is in any
// more.
func (a *application) pruneDownloads() error {
	var sums []string
	for _, img := range a.images {
		sums = append(sums, archiveSum(img.want)...)
	}
	freed, err := image.PruneDownloads(a.Stage.Downloads(), sums)
	if freed > 0 {
		a.Log.Info("removed archives that no image is made of any more", "bytes", freed)
	}
	return err
}

func archiveSum(want spec.Image) []string {
	if want.Archive == nil || want.Archive.SHA256 == "" {
		return nil
	}
	return []string{want.Archive.SHA256}
}
