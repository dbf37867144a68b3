package machine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/qemu"
	"github.com/gitboot/gitboot/reconciler/drift"
	"github.com/gitboot/gitboot/reconciler/inventory"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// compare fills in the plan and the state that a run without changes leaves.
func (j *Job) compare(ctx context.Context) error {
	j.foresee(ctx)
	observed, err := j.observed(ctx)
	if err != nil {
		return err
	}
	wants := make([]plan.Want, 0, len(j.Wants.Images))
	for _, want := range j.Wants.Images {
		img := j.images[want.Name]
		wants = append(wants, plan.Want{Image: want.Name, Inputs: img.inputs, Choice: img.origin.Choice(), Layers: img.layers, Building: j.builds(want.Name), Keep: want.Keep, Err: img.err})
	}
	j.plan = plan.Compare(j.Wants.Machine, j.Revision.Hash, wants, observed)
	if j.uncounted != nil {
		j.plan.Warn("boots of it are not counted, and so the machine does not fall back from it: " + j.uncounted.Error())
	}
	if err := warnAttended(j); err != nil {
		return err
	}
	compareRecovery(j)
	if err := notice(ctx, j, observed); err != nil {
		return err
	}
	if err := (holder{j}).hold(ctx); err != nil || j.plan.Held() {
		return err
	}
	if observed.MenuStale == "" {
		return nil
	}
	return j.fits(ctx)
}

// warnAttended has the plan tell of new generations that boot only where somebody types.
func warnAttended(j *Job) error {
	for _, s := range j.plan.Stagings {
		disks, err := menu.Attended(&j.Book, j.images[s.Image].want, j.location)
		if err != nil {
			return err
		}
		if len(disks) > 0 {
			j.plan.SetNotes(s.Image, s.Notes, []string{"somebody has to open " + strings.Join(disks, ", ") + " at each boot of it; if nobody does, what is on trial counts as failed (see unlock of the machine)"})
		}
	}
	return nil
}

// notice has the plan tell what is not as it was written, which is looked for where
// something is not as it should be.
func notice(ctx context.Context, j *Job, observed plan.Observed) error {
	if !observed.Odd() && len(plan.Standing(j.doc.Drift)) == 0 {
		return nil
	}
	seen, err := drift.Seen(ctx, &j.Book, j.location, j.doc, j.next)
	if err != nil {
		return err
	}
	known := plan.Mend(j.doc.Drift, seen, j.now())
	j.plan.Notice(plan.News(known, seen))
	j.next.Drift = plan.Remember(known, j.plan.Drift, j.now())
	return nil
}

// A holder holds back what a run may not publish.
type holder struct{ *Job }

// hold holds back what may not be published now. What a run stages then waits, in
// place of what did before.
func (j holder) hold(ctx context.Context) error {
	waits := j.next.Waits(j.doc.Waiting, j.waiting(), j.now())
	now := j.Now()
	j.plan.Terms = j.doc.Approval.Asks() && j.doc.Approval != j.next.Approval
	unsigned, err := borrower(j).lacking(ctx)
	if err != nil {
		return err
	}
	p := plan.Publication{
		Now: now, Windows: spec.Windows(j.Wants.Windows, j.Wants.Machine, now.Location()), Doubt: j.Find.Unset, Anyway: j.req.Anyway,
		Approvals: []plan.Approval{j.doc.Approval, j.next.Approval}, Since: waits.Since, First: j.doc.Revision == "", Tags: j.Approvals,
		Fetched: j.req.Fetch, Untested: j.untested(), Unsigned: unsigned,
	}
	j.plan.Untested, j.plan.Unsigned, j.plan.Disk = p.Untested, p.Unsigned, j.Wants.Disk
	j.plan.Wait(p.Holds())
	if j.plan.Publishes() && !j.plan.Held() {
		j.approved = p.Approved()
	}
	if waits.Holds = j.plan.Holds; j.plan.Held() {
		j.next.Wait(j.doc, waits)
	}
	j.keepReady()
	return nil
}

// untested are the boot tests that come before publishing what is staged.
func (j holder) untested() (out []plan.Untested) {
	terms := j.Wants.BootTest
	if terms == nil || len(j.plan.Stagings) == 0 {
		return nil
	}
	lacks := ""
	if err := qemu.Installed(j.Wants.Arch); err != nil {
		lacks = err.Error()
	}
	for _, s := range j.plan.Stagings {
		u, ready := plan.Untested{Image: s.Image, Lacks: lacks}, j.doc.Images[s.Image].Waiting(s.Ready)
		switch {
		case ready == nil:
		case j.doc.Verdicts.Tested(ready, terms.Key()):
			continue
		case ready.Untested != nil:
			u.Failure, u.Next = ready.Untested.Message, ready.Untested.Next
		}
		out = append(out, u)
	}
	return out
}

// waiting are keys of what is to be published of each image. What cannot be looked
// up now is what it was.
func (j holder) waiting() map[string]string {
	wants := map[string]string{}
	if w := j.doc.Waiting; w != nil {
		for image := range j.plan.Failed {
			if key, known := w.Wants[image]; known {
				wants[image] = key
			}
		}
	}
	for _, s := range j.plan.Stagings {
		wants[s.Image] = s.Inputs.Key()
	}
	return wants
}

// keepReady forgets what is staged and waits no more.
func (j holder) keepReady() {
	for name, img := range j.next.Images {
		if img.Ready == nil || j.plan.Failed[name] != nil {
			continue
		}
		if !j.plan.Held() || !slices.ContainsFunc(j.plan.Stagings, func(s plan.Staging) bool { return s.Ready == img.Ready.Deployment }) {
			img.Ready = nil
		}
	}
}

// fits finds out, before anything is fetched, whether the boot loader has room
// for the entries that stay.
func (j *Job) fits(ctx context.Context) error {
	staying, err := j.next.Clone()
	if err != nil {
		return err
	}
	for _, r := range j.plan.Removals {
		if img := staying.Images[r.Image]; img != nil {
			img.RemoveNumber(r.Generation)
		}
	}
	return j.Book.Fits(ctx, j.location, staying)
}

// observed reports what the stage and the boot loader hold.
func (j *Job) observed(ctx context.Context) (plan.Observed, error) {
	out := plan.Observed{Revision: j.doc.Revision, Generations: map[string][]plan.Generation{}, Ready: map[string]plan.Generation{}, Bad: judged{j}.bad()}
	named := map[string]bool{j.Book.Booted: true}
	for _, id := range j.next.Deployments() {
		named[id] = true
	}
	for name, img := range j.doc.Images {
		if g := img.Ready; g != nil {
			out.Ready[name] = plan.Generation{N: g.N, Deployment: g.Deployment, Inputs: g.Inputs, Damaged: inventory.Damage(j.Stage, *g)}
		}
		for i, g := range img.Generations {
			pg := plan.Generation{N: g.N, Deployment: g.Deployment, Inputs: g.Inputs, Pinned: g.Pin != nil}
			pg.Protected = plan.Protected(g.Imported, g.Deployment == j.Book.Booted, judged{j}.boots(name, g.Deployment), pg.Pinned)
			if i == len(img.Generations)-1 {
				pg.Damaged = inventory.Damage(j.Stage, g)
			}
			if g.Deployment != j.Book.Booted {
				pg.Unbootable = j.Book.Unbootable(name, j.Wants.Machine, g, j.location)
			}
			out.Generations[name] = append(out.Generations[name], pg)
		}
	}
	ids, err := j.Stage.Deployments()
	if err != nil {
		return out, err
	}
	out.Stray = slices.DeleteFunc(ids, func(id string) bool { return named[id] })
	out.Garbage = j.garbage(ctx)
	stale, linked, err := j.Book.Observe(ctx, j.location, j.next)
	out.MenuStale, out.Unlinked = stale, !linked
	return out, err
}

// A judged is a job as its verdicts see it.
type judged struct{ *Job }

// boots reports whether the machine boots a deployment by itself: somebody has
// chosen it, or it is what the machine falls back to.
func (j judged) boots(image, deployment string) bool {
	if boot.EntryID(image, deployment) == j.doc.Default {
		return true
	}
	return j.next.Mode == boot.ModeManaged && j.uncounted == nil && j.next.LastGood(image) == deployment
}

// bad are the deployments that are known to be bad.
func (j judged) bad() (out []plan.Bad) {
	for _, id := range slices.Sorted(maps.Keys(j.next.Verdicts)) {
		if v := j.next.Verdicts[id]; v.State == boot.Bad && v.Inputs != nil {
			out = append(out, plan.Bad{Image: v.Image, Deployment: id, Inputs: *v.Inputs, Since: v.Since, Reason: v.Reason})
		}
	}
	return out
}

// garbage counts the bytes that nothing reaches. What a failed image has got
// is kept for its next try; with a manifest that cannot be read, nobody knows.
func (j *Job) garbage(ctx context.Context) int64 {
	if j.doc.AnyFailure() {
		return 0
	}
	garbage, err := j.Stage.Collect(ctx, true)
	if err != nil {
		j.Log.Debug("garbage cannot be counted", "error", err)
		return 0
	}
	return garbage.Bytes
}

// foresee computes the state that a run leaves if it stages nothing.
func (j *Job) foresee(ctx context.Context) {
	j.next.Machine, j.next.Failure, j.next.Waiting = j.Wants.Machine, nil, nil
	j.next.Revision = j.Revision.Hash
	endTrial(ctx, j)
	if j.Wants.Recovery == nil {
		j.next.Recovery = nil
	}
	if !j.next.Suspension.Stands(j.Now()) {
		j.next.Suspension = nil
	}
	j.next.Approval = plan.Approval{Manual: j.Wants.Approve.Manual, After: j.Wants.Approve.After, Tag: j.Wants.Approve.Tag}
	j.next.Mode, j.next.Timeout, j.next.Tries, j.next.Order = j.Wants.Boot.Mode, j.Wants.Boot.Timeout, j.Wants.Boot.Tries, nil
	j.next.Loader, j.next.SecureBoot, j.next.SafeGraphics = j.Wants.Boot.Loader, j.Wants.Boot.SecureBoot, j.Wants.Boot.SafeGraphics
	if j.next.Tries == state.DefaultTries {
		j.next.Tries = 0 // as of a gitboot that did not count
	}
	if j.doc.Machine == "" {
		j.next.Boot = j.BootID // which decides nothing of what comes
	}
	j.next.OnBad = j.Wants.Boot.OnBad
	j.next.Alone = j.Book.Alone(j.doc.Alone)
	for _, img := range j.Wants.Images {
		j.next.Order = append(j.next.Order, img.Name)
	}
	for name, img := range j.images {
		noted := j.next.Image(name)
		if img.err == nil {
			noted.Origin = img.origin
		}
		noted.Fail(notPending(img.err), img.cause, whose(j.Name, name), j.now())
		if j.req.Retry && img.err == nil {
			j.next.Forgive(name, img.inputs, j.now())
		}
	}
	j.next.DropUnwanted(j.wanted)
}

// wanted reports whether an image is one that the machine boots.
func (j *Job) wanted(name string) bool { return j.images[name] != nil }

// notPending is an image's failure, if that is one: being built or looked up still
// is none.
func notPending(err error) error {
	if errors.As(err, new(*PendingError)) || errors.As(err, new(*origin.ComingError)) {
		return nil
	}
	return err
}
