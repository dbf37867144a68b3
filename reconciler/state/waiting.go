package state

import (
	"cmp"
	"strings"
	"time"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// Waiting is a revision that is staged and not published: the images' generations
// are Ready, and the menu is what it was.
type Waiting struct {
	Revision string `json:"revision"`
	// Since is when this began to wait, and not something else in its place.
	Since time.Time   `json:"since"`
	Holds []plan.Hold `json:"holds"`
	// Wants are keys of what is wanted of each image.
	Wants map[string]string `json:"wants,omitempty"`
	Terms
}

// Terms are what a revision says of the menu as a whole, and of those after it.
type Terms struct {
	Order    []string      `json:"order,omitempty"`
	Mode     string        `json:"mode,omitempty"`
	Loader   string        `json:"loader,omitempty"`
	Timeout  *int          `json:"timeout,omitempty"`
	Tries    int           `json:"tries,omitempty"`
	Approval plan.Approval `json:"approval,omitzero"`
	// SecureBoot says that what boots is signed.
	SecureBoot bool `json:"secureBoot,omitempty"`
	// SafeGraphics says that there is an entry without graphics drivers.
	SafeGraphics bool `json:"safeGraphics,omitempty"`
}

// Terms are those of what is published.
func (m *Machine) Terms() Terms {
	return Terms{m.Order, m.Mode, m.Loader, m.Timeout, m.Tries, m.Approval, m.SecureBoot, m.SafeGraphics}
}

func (m *Machine) setTerms(t Terms) {
	m.Order, m.Mode, m.Loader, m.Timeout, m.Tries, m.Approval = t.Order, t.Mode, t.Loader, t.Timeout, t.Tries, t.Approval
	m.SecureBoot, m.SafeGraphics = t.SecureBoot, t.SafeGraphics
}

// Approvers are patterns of the tags that have to approve of what is published next:
// as what is published now says, and as what waits does.
func (m *Machine) Approvers() (patterns []string) {
	if patterns = append(patterns, m.Approval.Tag); m.Waiting != nil {
		patterns = append(patterns, m.Waiting.Approval.Tag)
	}
	return patterns
}

// Since is when it began that this waits, which is now unless it does so already.
// Another revision that wants the same of the machine is no other; nor is one of
// which an image cannot be looked up now.
func (w *Waiting) since(next Waiting, now time.Time) time.Time {
	if w == nil || !same(w.Terms, next.Terms) {
		return now
	}
	for image, key := range next.Wants {
		if w.Wants[image] != key {
			return now
		}
	}
	return w.Since
}

// Waits is what m, which a revision would become, waits with, as it follows on what
// waits now.
func (m *Machine) Waits(now *Waiting, wants map[string]string, at time.Time) Waiting {
	next := Waiting{Revision: m.Revision, Wants: wants, Terms: m.Terms()}
	next.Since = now.since(next, at)
	return next
}

// Wait has m, which a revision would become, be what was: but for what waits, and
// what is known of the images.
func (m *Machine) Wait(was *Machine, w Waiting) {
	m.setTerms(was.Terms())
	m.Revision, m.Trial, m.Recovery, m.Waiting = was.Revision, was.Trial, was.Recovery, &w
}

// Unpublished is what publishing what waits does, as of now.
func (m *Machine) Unpublished() []plan.Action {
	actions := []plan.Action{}
	w := m.Waiting
	if w == nil {
		return actions
	}
	next := Machine{Images: m.Images, Order: w.Order}
	for _, name := range next.MenuOrder() {
		img := m.Images[name]
		if img == nil || img.Ready == nil {
			continue
		}
		act := plan.Action{Kind: plan.AddDeployment, Image: name, Generation: img.Ready.N, Subject: img.Ready.Deployment, Reason: "first deployment"}
		if newest := img.Newest(); newest != nil {
			act.Reason = strings.Join(plan.Differences(newest.Inputs, img.Ready.Inputs), "; ")
		}
		if img.Ready.Packages != nil {
			act.Packages = img.Ready.Packages.String()
		}
		actions = append(actions, act)
	}
	if w.Revision != m.Revision {
		actions = append(actions, plan.Action{Kind: plan.RecordRevision, Subject: w.Revision, Reason: "was " + cmp.Or(plan.Short(m.Revision), "none")})
	}
	return append(actions, plan.Action{Kind: plan.WriteMenu, Reason: "it is published"})
}

// Publish makes what waits the machine's, and returns what that is. There is
// something.
func (m *Machine) Publish(now time.Time) (published []Found) {
	w := m.Waiting
	m.setTerms(w.Terms)
	m.Revision, m.Waiting = w.Revision, nil
	for _, name := range m.MenuOrder() {
		img := m.Images[name]
		if img == nil || img.Ready == nil {
			continue
		}
		g := *img.Ready
		g.Created, g.Untested, img.Ready = now, nil, nil
		img.Add(g)
		m.Try(name, g, now)
		published = append(published, Found{name, g})
	}
	return published
}
