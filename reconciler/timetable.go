package reconciler

import (
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/reconciler/workshop"
	"github.com/gitboot/gitboot/spec"
)

// Coming is what is going to be done by itself, the soonest first, as far as the
// documents say; for what is wanted, nil as long as that is not known.
func Coming(r *Reconciler, w *wanted.Wanted) ([]plan.Coming, error) {
	dir, now := r.Machine.Stage.Dir(), r.Machine.Now()
	doc, err := state.LoadMachine(dir)
	if err != nil {
		return nil, err
	}
	made, err := state.LoadWorkshop(dir)
	if err != nil {
		return nil, err
	}
	find := r.Machine.Find
	find.CheckClock(doc.Newest(), made.Newest())
	t := plan.Timetable{Doubt: find.Unset, Suspension: doc.Suspension}
	if doc.Waiting != nil {
		t.Holds = doc.Waiting.Holds
	}
	if w != nil && w.Wants != nil {
		t.Reboots = spec.Windows(w.Wants.Reboots, w.Wants.Machine, now.Location())
		t.Recurring = recurring(w.Wants, doc, made)
		t.Failed = resting(w.Wants, doc, made)
	}
	return t.NextDue(now), nil
}

// recurring is what the schedules of images say, once they were followed.
func recurring(wants *spec.Wants, doc *state.Machine, made *state.Workshop) (out []plan.Recurring) {
	for _, img := range wants.Images {
		if known := doc.Images[img.Name]; img.Pull != nil && known != nil && !known.Origin.Checked.IsZero() {
			out = append(out, plan.Recurring{What: plan.ComingUpdate, Image: img.Name, Schedule: img.Pull.Update, Last: known.Origin.Checked})
		}
	}
	for _, img := range workshop.Order(wants) {
		if known := made.Build(img.Name); !known.Built.IsZero() {
			out = append(out, plan.Recurring{What: plan.ComingBuild, Image: img.Name, Schedule: img.Build.Schedule, Last: known.Built})
		}
	}
	return out
}

// resting is what has failed and is left alone for now.
func resting(wants *spec.Wants, doc *state.Machine, made *state.Workshop) (out []plan.Resting) {
	add := func(image string, f *state.Failure) {
		if f != nil {
			out = append(out, plan.Resting{Image: image, Tries: f.Tries})
		}
	}
	for _, img := range wants.Images {
		if known := doc.Images[img.Name]; known != nil && img.Build == nil {
			add(img.Name, known.Failure)
		}
	}
	for _, img := range workshop.Order(wants) {
		known := made.Build(img.Name)
		if add(img.Name, known.Failure); known.Push != nil {
			add(img.Name, known.Push.Failure)
		}
	}
	return out
}
