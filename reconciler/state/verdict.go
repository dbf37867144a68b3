package state

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// maxBad is how many bad deployments are remembered that are no longer on the
// stage.
const maxBad = 100

// DefaultTries is how often what is new boots by itself where nothing else is
// declared.
const DefaultTries = 3

// A Verdict is what is known of whether a deployment boots and works. The JSON
// fields are stable.
type Verdict struct {
	Image string `json:"image"`
	// State is boot.Good, boot.Trying or boot.Bad.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Reason says why it is bad, and By who said so, "" for the machine itself.
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// Boot is the id of the boot that decided, "" if none did.
	Boot string `json:"boot,omitempty"`
	// Test is the boot test that decided, nil if none did: the machine itself has
	// never booted it.
	Test *Test `json:"bootTest,omitempty"`
	// Left is how many boots by itself one on trial had left when that was last
	// known.
	Left int `json:"left,omitempty"`
	// From is the revision that was applied before what brought it, "" if that is not
	// known.
	From string `json:"from,omitempty"`
	// Inputs are what it was made from, by which a bad one is known again.
	Inputs *plan.Inputs `json:"inputs,omitempty"`
}

// Verdicts are what is known of deployments, by their ids.
type Verdicts map[string]*Verdict

// State is what is known of a deployment: boot.Good, boot.Trying, boot.Bad, or ""
// where nothing is, as of one that an older gitboot has staged.
func (v Verdicts) State(deployment string) string {
	if v[deployment] != nil {
		return v[deployment].State
	}
	return ""
}

// Trying reports whether anything is on trial.
func (v Verdicts) Trying() bool {
	for _, verdict := range v {
		if verdict.State == boot.Trying {
			return true
		}
	}
	return false
}

// Left is how many boots by itself an entry on trial has left.
func (v Verdicts) Left(entry string) int {
	for id, verdict := range v {
		if verdict.State == boot.Trying && boot.EntryID(verdict.Image, id) == entry {
			return verdict.Left
		}
	}
	return 0
}

// Unproven says why a machine cannot be said to have come up as it should that runs
// one deployment and was restarted for one the last time, "" if it has: what runs is
// not on trial any more, and what it was restarted for is not bad.
func (v Verdicts) Unproven(booted, restarted string) string {
	if v.State(booted) == boot.Trying {
		return "what runs is still on trial"
	}
	if v.State(restarted) == boot.Bad {
		return "what the machine was restarted for is bad: " + v[restarted].Reason
	}
	return ""
}

// HowMany is how often what is new boots by itself.
func (m *Machine) HowMany() int { return cmp.Or(m.Tries, DefaultTries) }

// Try puts a generation on trial that is new here, in mode managed. What is known
// of its deployment already stands: a reverted commit brings back what was good, or
// bad.
func (m *Machine) Try(image string, g Generation, now time.Time) {
	if m.Mode == boot.ModeManaged && m.Verdicts.State(g.Deployment) == "" {
		m.Judge(g.Deployment, Verdict{Image: image, State: boot.Trying, Since: now, Left: m.HowMany()})
	}
}

// Judge sets what is known of a deployment.
func (m *Machine) Judge(deployment string, v Verdict) {
	if m.Verdicts == nil {
		m.Verdicts = Verdicts{}
	}
	if v.State == boot.Bad && v.Inputs == nil {
		if g := m.Images[v.Image].generation(deployment); g != nil {
			inputs := g.Inputs
			v.Inputs = &inputs
		}
	}
	if old := m.Verdicts[deployment]; old != nil && v.From == "" && v.State != boot.Good {
		v.From = old.From
	}
	m.Verdicts[deployment] = &v
	wantRevert(m, deployment, v)
}

// Forgive forgets that what is made of inputs was bad, and puts it on trial once
// more. It reports whether that was.
func (m *Machine) Forgive(image string, inputs plan.Inputs, now time.Time) (was bool) {
	for id, v := range m.Verdicts {
		if v.Image != image || v.State != boot.Bad || v.Inputs == nil || len(plan.Differences(*v.Inputs, inputs)) > 0 {
			continue
		}
		was = true
		if delete(m.Verdicts, id); m.Images[image].generation(id) != nil {
			m.Judge(id, Verdict{Image: image, State: boot.Trying, Since: now, Left: m.HowMany(), From: v.From})
		}
	}
	return was
}

// generation is that of a deployment, nil if it is none.
func (i *Image) generation(deployment string) *Generation {
	if i == nil {
		return nil
	}
	for n := range i.Generations {
		if i.Generations[n].Deployment == deployment {
			return &i.Generations[n]
		}
	}
	return nil
}

// LastGood is the deployment that the image is thought to boot for certain: its
// newest good one, or the newest of which nothing is known; "" without any.
func (m *Machine) LastGood(image string) string {
	img := m.Images[image]
	if img == nil {
		return ""
	}
	for _, state := range []string{boot.Good, ""} {
		for _, g := range slices.Backward(img.Generations) {
			if m.Verdicts.State(g.Deployment) == state {
				return g.Deployment
			}
		}
	}
	return ""
}

// prune forgets what is no longer on the stage, but for what is bad.
func (v Verdicts) prune(there []string) {
	var gone []string
	for _, id := range slices.Sorted(maps.Keys(v)) {
		switch {
		case slices.Contains(there, id):
		case v[id].State == boot.Bad:
			gone = append(gone, id)
		default:
			delete(v, id)
		}
	}
	slices.SortStableFunc(gone, func(a, b string) int { return v[a].Since.Compare(v[b].Since) })
	for _, id := range gone[:max(len(gone)-maxBad, 0)] {
		delete(v, id)
	}
}
