package state

import (
	"time"

	"github.com/gitboot/gitboot/boot"
)

// maxReverts is how many are remembered.
const maxReverts = 50

// A Revert is what is done about a deployment that has proved bad: a branch that takes
// back the commits that brought it. The JSON fields are stable.
type Revert struct {
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
	// Bad is the revision that it was staged for, and Good the one that was applied
	// before, "" if there was none.
	Bad    string `json:"bad"`
	Good   string `json:"good,omitempty"`
	Reason string `json:"reason"`
	// Boot is the id of the boot that decided, "" if that is not known.
	Boot  string    `json:"boot,omitempty"`
	Since time.Time `json:"since"`
	// Branch and Commit are what was Pushed, when; or Nothing says why there is nothing
	// to push, and Failure why it could not be.
	Branch  string    `json:"branch,omitempty"`
	Commit  string    `json:"commit,omitempty"`
	Pushed  time.Time `json:"pushed,omitzero"`
	Nothing string    `json:"nothing,omitempty"`
	Failure *Failure  `json:"failure,omitempty"`
}

// Done reports whether nothing more is to be done about it.
func (r Revert) Done() bool { return !r.Pushed.IsZero() || r.Nothing != "" }

// Pending are those that something is to be done about.
func Pending(reverts []Revert) (pending []Revert) {
	for _, r := range reverts {
		if !r.Done() {
			pending = append(pending, r)
		}
	}
	return pending
}

// wantRevert has commits taken back, once, that brought what the machine itself has
// found to be bad.
func wantRevert(m *Machine, deployment string, v Verdict) {
	g := m.Images[v.Image].generation(deployment)
	if m.OnBad != boot.OnBadRevert || v.State != boot.Bad || v.By != "" || g == nil {
		return
	}
	for _, r := range m.Reverts {
		if r.Deployment == deployment {
			return
		}
	}
	m.Reverts = append(m.Reverts, Revert{
		Image: v.Image, Generation: g.N, Deployment: deployment, Bad: g.Revision, Good: v.From, Reason: v.Reason, Boot: v.Boot, Since: v.Since,
	})
	m.Reverts = m.Reverts[max(len(m.Reverts)-maxReverts, 0):]
}

// From notes, of a generation that goes on trial, which revision was applied last
// before what it brings: that before the image's newest generation, if that has not
// proved good either.
func From(next, before *Machine, image, deployment string) {
	v := next.Verdicts[deployment]
	newest := before.Images[image].Newest()
	if v == nil || v.State != boot.Trying || v.From != "" || newest == nil {
		return
	}
	v.From = before.Revision
	if unproven := before.Verdicts[newest.Deployment]; unproven != nil && unproven.State != boot.Good && unproven.From != "" {
		v.From = unproven.From
	}
}
