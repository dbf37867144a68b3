package reconciler

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/machine"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/verdict"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
)

// A teller turns what a poll sees into events. Of what goes on failing it tells
// once, also across restarts: what failed before is in the documents.
type teller struct {
	to      func(event.Event)
	machine string
	now     func() time.Time
	// looked is the revision that was told last, refused the one that was refused
	// since.
	looked, refused string
	// held is why nothing changes though nothing fails.
	held string
	// drifted are what was told that is not as it was written, of a run that failed.
	drifted map[string]bool
	// booted and next are the deployments that were told to run, and to boot next.
	booted, next string
	// failing is why the repo, a part or an image fails, by part and name.
	failing map[subject]string
}

// A subject is what may fail: a part as a whole, or an image of it.
type subject struct{ part, image string }

func newTeller(to func(event.Event), machine string, now func() time.Time) *teller {
	if to == nil {
		to = func(event.Event) {}
	}
	return &teller{to: to, machine: machine, now: now, failing: map[subject]string{}}
}

// remember takes up what was told before this process began.
func (t *teller) remember(dir string) {
	if m, err := state.LoadMachine(dir); err == nil {
		t.looked = m.Revision
		for _, r := range m.Reverts {
			if r.Failure != nil {
				t.failing[subject{part: event.Revert}] = r.Failure.Message
			}
		}
		if f := m.TestingFailure; f != nil {
			t.failing[subject{part: event.Testing}] = f.Message
		}
		for name, img := range m.Images {
			if img.Failure != nil {
				t.failing[subject{event.Machine, name}] = img.Failure.Message
			}
		}
	}
	if w, err := state.LoadWorkshop(dir); err == nil {
		for _, name := range slices.Sorted(maps.Keys(w.Builds)) {
			if f := w.Build(name).Failure; f != nil {
				t.failing[subject{event.Workshop, name}] = f.Message
			}
		}
	}
}

func (t *teller) tell(e event.Event) {
	e.Time, e.Machine = t.now().UTC(), t.machine
	t.to(e)
}

// looks tells what was read of the config repo.
func (t *teller) looks(why string, w *wanted.Wanted, err error) {
	r := w.Revision
	e := event.Event{Kind: event.Looked, Part: event.Repo, Trigger: why, Revision: r.Hash, Subject: r.Subject, Author: r.Author, Changed: r.Hash != t.looked, Remotes: differing(w)}
	if err != nil {
		e.Kind, e.Error = event.Refused, err.Error()
		e.Changed = t.refused != r.Hash || !state.SameMessage(t.failing[subject{part: event.Repo}], e.Error)
		t.refused = r.Hash
	} else {
		t.looked, t.refused = r.Hash, ""
	}
	t.tell(e)
	t.fails(subject{part: event.Repo}, r, err)
}

// differing are what remotes say otherwise than what is followed.
func differing(w *wanted.Wanted) (lines []string) {
	for _, a := range w.Answers {
		if a.Differs() {
			lines = append(lines, a.String())
		}
	}
	return lines
}

// begins tells that a part is going to do something.
func (t *teller) begins(part, why string, r source.Revision, steps []plan.Action) {
	t.tell(event.Event{Kind: event.Began, Part: part, Trigger: why, Revision: r.Hash, Subject: r.Subject, Author: r.Author, Steps: steps})
}

// step tells that a part executes an action.
func (t *teller) step(part, why string, r source.Revision) func(plan.Action) {
	return func(act plan.Action) {
		t.tell(event.Event{Kind: event.Stepped, Part: part, Trigger: why, Revision: r.Hash, Image: act.Image, Step: &act})
	}
}

// converged tells what became of a run of the machine.
func (t *teller) converged(why string, w *wanted.Wanted, result machine.Result, err error) {
	if suspended := (*plan.SuspendedError)(nil); errors.As(err, &suspended) {
		t.holds(w.Revision, "Suspended", "this machine is suspended "+suspended.Words())
		return
	}
	if result.Plan.Held() {
		t.holds(w.Revision, "Waiting", "revision "+plan.Short(w.Revision.Hash)+" is staged and waits "+plan.Words(result.Plan.Holds))
	} else {
		t.holds(w.Revision, "", "")
	}
	wants := func(name string) bool {
		return slices.ContainsFunc(w.Wants.Images, func(img spec.Image) bool { return img.Name == name })
	}
	t.ended(event.Machine, why, w.Revision, wants, result.Failed, err)
	t.drift(w.Revision, result.Plan.Drift, err)
	if err != nil || !result.Changed {
		return
	}
	for _, s := range result.Plan.Stagings {
		t.tell(event.Event{
			Kind: event.Staged, Part: event.Machine, Trigger: why, Revision: w.Revision.Hash, Subject: w.Revision.Subject, Author: w.Revision.Author,
			Image: s.Image, Generation: s.Generation, Packages: s.Packages, Reason: strings.Join(s.Reasons, "; "),
		})
	}
}

// drift tells what is not as it was written; of what a run has failed to put right,
// once.
func (t *teller) drift(r source.Revision, news []plan.Drift, err error) {
	told := map[string]bool{}
	for _, d := range news {
		if text := d.String(); !t.drifted[text] {
			t.tell(event.Event{Kind: event.Drifted, Part: event.Machine, Revision: r.Hash, Image: d.Image, Generation: d.Generation, Reason: text})
		}
		told[d.String()] = err != nil
	}
	t.drifted = told
}

// judged tells what became known of what was on trial, and that the machine has
// fallen back from what is bad.
func (t *teller) judged(changes []verdict.Change, book *menu.Book) {
	for _, c := range changes {
		e := event.Event{Kind: event.Good, Part: event.Machine, Revision: c.Revision, Image: c.Image(), Generation: c.N}
		if c.State != boot.Bad {
			t.tell(e)
			continue
		}
		e.Kind, e.Reason, e.Log = event.Bad, c.Reason, c.Log
		t.tell(e)
		if book.Booted != c.Deployment {
			e.Kind, e.Log = event.FellBack, ""
			t.tell(e)
		}
	}
}

// holds tells why nothing changes, or that nothing holds it any more.
func (t *teller) holds(r source.Revision, held, reason string) {
	if t.held == held+reason {
		return
	}
	t.held = held + reason
	t.tell(event.Event{Kind: event.Held, Part: event.Machine, Revision: r.Hash, Held: held, Reason: reason})
}

// tested tells whether the branch for one boot fails.
func (t *teller) tested(failure *state.Failure) {
	var r source.Revision
	var err error
	if failure != nil {
		r.Hash, err = failure.Revision, errors.New(failure.Message)
	}
	t.fails(subject{part: event.Testing}, r, err)
}

// made tells what became of a job of the workshop.
func (t *teller) made(why string, r source.Revision, job *workshop.Job, err error) {
	if errors.As(err, new(*plan.SuspendedError)) {
		return // which the machine's run has told
	}
	builds, pushes, unpublished := job.Made()
	for _, b := range builds {
		t.tell(event.Event{Kind: event.Built, Part: event.Workshop, Trigger: why, Revision: r.Hash, Image: b.Image, Reason: strings.Join(b.Reasons, "; ")})
	}
	for _, p := range pushes {
		t.tell(event.Event{Kind: event.Published, Part: event.Workshop, Trigger: why, Revision: r.Hash, Image: p.Image, Reason: p.Ref + ", " + p.Reason})
	}
	failed := job.Failed()
	for name, err := range unpublished {
		failed[name] = errors.Join(failed[name], err)
	}
	t.ended(event.Workshop, why, r, job.Makes, failed, err)
}

// ended tells how a part's run ended that was about certain images. What only
// waits, for a build or a server, has not failed, nor what failed before and is
// left alone; it has not recovered either.
func (t *teller) ended(part, why string, r source.Revision, about func(image string) bool, failed map[string]error, err error) {
	e := event.Event{Kind: event.Ended, Part: part, Trigger: why, Revision: r.Hash, Failed: map[string]string{}}
	for name, err := range failed {
		if !waiting(err) {
			e.Failed[name] = err.Error()
		}
	}
	superseded := errors.Is(err, machine.ErrSuperseded) || errors.Is(err, workshop.ErrSuperseded)
	if superseded {
		err, e.Reason = nil, "a newer revision was there before its end"
	}
	if err != nil {
		e.Error = err.Error()
	}
	t.tell(e)
	for s := range maps.Clone(t.failing) {
		_, still := failed[s.image]
		unwanted := !about(s.image)
		if s.part == part && s.image != "" && err == nil && (unwanted || !still && !superseded) {
			t.fails(s, r, nil)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Failed)) {
		t.fails(subject{part, name}, r, failed[name])
	}
	if !superseded {
		t.fails(subject{part: part}, r, err)
	}
}

// fails tells of a failure that begins, changes or ends.
func (t *teller) fails(s subject, r source.Revision, err error) {
	was, failing := t.failing[s]
	switch {
	case err == nil && !failing, err != nil && state.SameMessage(was, err.Error()):
		return
	case err == nil:
		delete(t.failing, s)
		t.tell(event.Event{Kind: event.Recovered, Part: s.part, Revision: r.Hash, Image: s.image})
	default:
		t.failing[s] = err.Error()
		if s.part != event.Repo { // Refused has said it
			t.tell(event.Event{Kind: event.Failed, Part: s.part, Revision: r.Hash, Image: s.image, Error: err.Error()})
		}
	}
}
