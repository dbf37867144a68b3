package plan

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/schedule"
)

// A Hold says why what is staged is not published yet. The JSON fields are stable.
type Hold struct {
	// Why completes "waits …".
	Why string `json:"why"`
	// Since is when the waiting began, the zero time if that does not matter.
	Since time.Time `json:"since,omitzero"`
	// Until is when it ends by itself, the zero time if it does not, or if nobody
	// knows.
	Until time.Time `json:"until,omitzero"`
	// Note says why what might have ended it did not.
	Note string `json:"note,omitempty"`
	// Firm says that nobody's approval ends it.
	Firm bool `json:"firm,omitempty"`
}

// String is the hold for people.
func (h Hold) String() string {
	text := h.Why
	if !h.Since.IsZero() {
		text += " since " + clock(h.Since)
	}
	if !h.Until.IsZero() {
		text += ", until " + clock(h.Until)
	}
	if h.Note != "" {
		text += " (" + h.Note + ")"
	}
	return text
}

// Words say why something waits.
func Words(holds []Hold) string {
	var words []string
	for _, h := range holds {
		words = append(words, h.String())
	}
	return strings.Join(words, "; ")
}

// A Publication is what decides whether entries may change now.
type Publication struct {
	Now time.Time
	// Windows are when they may; Doubt says why the clock is not believed that
	// these go by, "" if it is.
	Windows schedule.Windows
	Doubt   string
	// Anyway is somebody's wish not to wait for a window.
	Anyway bool
	// Approvals are what has to approve of it: as what is published now says, and
	// as what is to be published does. Since is when it began to wait. First says
	// that nothing was published yet.
	Approvals []Approval
	Since     time.Time
	First     bool
	// Tags are what tags say of it, by their patterns.
	Tags map[string]Consent
	// Untested are the boot tests that are to be made first.
	Untested []Untested
	// Unsigned are the signatures that have to come first.
	Unsigned []Unsigned
	// Fetched says that it is to be fetched and staged, and no more.
	Fetched bool
}

// Holds are the reasons to wait, none to publish.
func (p Publication) Holds() (holds []Hold) {
	if p.Fetched {
		holds = append(holds, Hold{Why: "for a run that publishes it"})
	}
	return slices.Concat(holds, p.tests(), p.signatures(), p.approvals(), p.windows())
}

// An Untested is an image whose new deployment has to come up in a virtual machine
// before it is published.
type Untested struct {
	Image string
	// Lacks says what this machine lacks for that, "" if nothing.
	Lacks string
	// Failure is why it could not be found out, "" if that was not tried, and Next
	// when it is tried again.
	Failure string
	Next    time.Time
}

// tests are the reasons that boot tests end.
func (p Publication) tests() (holds []Hold) {
	for _, u := range p.Untested {
		hold := Hold{Why: "for the boot test of " + u.Image, Note: cmp.Or(u.Lacks, u.Failure)}
		if hold.Note != "" && !u.Next.IsZero() {
			hold.Note += "; it is tried again at " + clock(u.Next)
		}
		holds = append(holds, hold)
	}
	return holds
}

// windows are the reasons that have to do with the time of day.
func (p Publication) windows() (holds []Hold) {
	if p.Anyway {
		return nil
	}
	switch _, open := p.Windows.Open(p.Now); {
	case len(p.Windows) == 0:
	case p.Doubt != "":
		holds = append(holds, Hold{Why: "until the clock is set, since entries change only in windows"})
	case !open:
		holds = append(holds, Hold{Why: "for a window in which entries may change", Until: p.Windows.Next(p.Now).UTC()})
	}
	return holds
}

// Publishes reports whether the plan changes what is on the menu.
func (p Plan) Publishes() bool {
	return len(p.Stagings) > 0 || len(p.Removals) > 0 || p.Recovery != "" || p.Menu != "" || p.Link || p.Terms
}

// Wait holds back what a plan would publish. What can be staged without that is
// staged, and stays until it is published.
func (p *Plan) Wait(holds []Hold) {
	if p.Holds = nil; p.Publishes() {
		p.Holds = holds
	}
	p.keepGarbage()
}

// Held reports whether the plan has something to publish, and waits with it.
func (p Plan) Held() bool { return len(p.Holds) > 0 }

// Idle reports whether there is nothing to do now.
func (p Plan) Idle() bool {
	if p.Held() {
		return len(p.MachineActions()) == 0
	}
	return p.Empty()
}

// before cuts a list off where it waits.
func before(list []Action) []Action {
	if at := slices.IndexFunc(list, func(a Action) bool { return a.Kind == AwaitPublishing }); at >= 0 {
		return list[:at]
	}
	return list
}
