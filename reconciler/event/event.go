// Package event is what people and programs are told of while gitboot runs: one
// typed event for the log, status, notifications, the page and forges. It only
// says what an event is; package reconciler tells them.
package event

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// Kind names what has happened.
type Kind string

const (
	// Looked: the config repo was read and may be followed. Revision is its tip,
	// Changed says that it was not known before.
	Looked Kind = "looked"
	// Refused: the config repo could not be read, or what it wants is not to be
	// followed. Revision is empty if none came, Changed says that it was not so, or
	// for another reason, when it was last read.
	Refused Kind = "refused"
	// Began: a part, machine or workshop, begins to change something. Steps are
	// the actions that it is going to take.
	Began Kind = "began"
	// Stepped: a part executes an action, Step.
	Stepped Kind = "stepped"
	// Ended: a part has nothing more to do for a revision. Error says why not all
	// of it was done, Failed which images were left as they were, Reason why it ended
	// early though nothing failed.
	Ended Kind = "ended"
	// Staged: an image's new generation is in the boot menu.
	Staged Kind = "staged"
	// Built and Published: the workshop has made an image, or pushed it.
	Built     Kind = "built"
	Published Kind = "published"
	// Failed: an image, or a part as a whole, has begun to fail, or fails by another
	// cause. Recovered: it does not any more.
	Failed    Kind = "failed"
	Recovered Kind = "recovered"
	// Drifted: something is not as it was written, whatever has changed it: Reason says
	// what, and how it is.
	Drifted Kind = "drifted"
	// Held: nothing changes though nothing fails: Held says why in a word, Reason in
	// a sentence; both are empty when it is over.
	Held Kind = "held"
	// Operated: a person, Author, has had something done: Reason says what.
	Operated Kind = "operated"
	// Booted: this system was booted, and runs an image's generation. Revision is
	// the one that it was staged for.
	Booted Kind = "booted"
	// Good and Bad: an image's generation that was on trial has proved to boot and to
	// work, or not to, for Reason; Log is the end of the kernel's log. FellBack: the
	// machine has booted something else instead.
	Good     Kind = "good"
	Bad      Kind = "bad"
	FellBack Kind = "fell-back"
	// Reverted: commits that have brought something bad are taken back on a branch of
	// their own, or there is nothing to take back; Reason says which.
	Reverted Kind = "reverted"
	// Signed: what another machine boots was signed, and that published.
	Signed Kind = "signed"
	// RebootNeeded: what boots next is another than what runs; Reason says why, and
	// is empty when it is over.
	RebootNeeded Kind = "reboot-needed"
	// Restarting: the machine is about to be restarted by itself, for Reason.
	Restarting Kind = "restarting"
	// Settings: agent.toml changed and was applied, or refused, with Error.
	Settings Kind = "settings"
)

// Parts that an event may be of.
const (
	Repo     = "repo"
	Machine  = "machine"
	Workshop = "workshop"
	// Testing is the branch of this machine's that is staged for one boot. That it
	// fails keeps nothing else from converging.
	Testing = "testing"
	// Revert is the taking back of commits. That it fails changes nothing here.
	Revert = "revert"
	// Signing is that of what other machines boot. That it fails changes nothing here.
	Signing = "signing"
)

// An Event is one thing that has happened. The JSON fields are stable.
type Event struct {
	// ID counts the events of one agent, from 1; whoever tells one leaves it 0.
	ID   uint64    `json:"id,omitempty"`
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind"`
	// Machine is this one's name in the config repo.
	Machine string `json:"machine"`
	// Part is repo, machine, workshop, testing or revert, Trigger what asked for its run.
	Part     string `json:"part,omitempty"`
	Trigger  string `json:"trigger,omitempty"`
	Revision string `json:"revision,omitempty"`
	// Subject and Author are those of the revision's commit.
	Subject string `json:"subject,omitempty"`
	Author  string `json:"author,omitempty"`
	Changed bool   `json:"changed,omitempty"`
	// Remotes are what remotes of the config repo say otherwise, a line each.
	Remotes []string `json:"remotes,omitempty"`

	Image      string `json:"image,omitempty"`
	Generation int    `json:"generation,omitempty"`
	// Packages says which packages change, Reason why something is done.
	Packages string `json:"packages,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Held     string `json:"held,omitempty"`
	Log      string `json:"log,omitempty"`

	Steps []plan.Action `json:"steps,omitempty"`
	Step  *plan.Action  `json:"step,omitempty"`

	Failed map[string]string `json:"failed,omitempty"`
	Error  string            `json:"error,omitempty"`
}

// maxWords is how many columns are told of the end of a log.
const maxWords = 200

// Notable are the kinds of which there are events that people are told of.
func Notable() []Kind {
	return []Kind{Looked, Refused, Staged, Built, Published, Failed, Recovered, Drifted, Held, Operated, Booted, Good, Bad, FellBack, Reverted, Signed, RebootNeeded, Settings}
}

// Told reports whether an event is one that people are told of, and not only of
// interest to who watches what goes on.
func (e Event) Told() bool {
	switch e.Kind {
	case Stepped, Began, Ended:
		return false
	case Looked, Refused:
		return e.Changed
	}
	return true
}

// Message says an event in a line, without its time.
func (e Event) Message() string {
	switch e.Kind {
	case Looked:
		return fmt.Sprintf("revision %s is followed now: %s (%s)", plan.Short(e.Revision), e.Subject, e.Author)
	case Refused:
		if e.Revision == "" {
			return "the config repo cannot be followed: " + e.Error
		}
		return fmt.Sprintf("revision %s is not followed: %s", plan.Short(e.Revision), e.Error)
	case Began:
		return fmt.Sprintf("the %s begins, asked by %s", e.Part, e.Trigger)
	case Stepped:
		return fmt.Sprintf("the %s is at %s", e.Part, e.stepName())
	case Ended:
		return fmt.Sprintf("the %s has ended at revision %s%s", e.Part, plan.Short(e.Revision), because(e.Error))
	case Staged:
		return fmt.Sprintf("%s, generation %d, is in the boot menu: %s", e.Image, e.Generation, e.Reason)
	case Built:
		return fmt.Sprintf("image %s was built: %s", e.Image, e.Reason)
	case Published:
		return fmt.Sprintf("image %s was pushed: %s", e.Image, e.Reason)
	case Failed:
		return fmt.Sprintf("%s fails%s", e.what(), because(e.Error))
	case Recovered:
		return e.what() + " does not fail any more"
	case Drifted:
		return "something is not as it was written: " + e.Reason
	case Held:
		return cmp.Or(e.Reason, "nothing holds this machine any more")
	case Operated:
		return fmt.Sprintf("%s (by %s)", e.Reason, cmp.Or(e.Author, "somebody"))
	case Booted:
		return fmt.Sprintf("%s, generation %d, is running: this system was booted", e.Image, e.Generation)
	case Good:
		return fmt.Sprintf("%s, generation %d, is good: it boots and works", e.Image, e.Generation)
	case Bad:
		return fmt.Sprintf("%s, generation %d, is bad: %s%s", e.Image, e.Generation, e.Reason, lastWords(e.Log))
	case FellBack:
		return fmt.Sprintf("this machine has fallen back from %s, generation %d", e.Image, e.Generation)
	case Reverted, Signed:
		return e.Reason
	case RebootNeeded:
		if e.Reason == "" {
			return "no reboot is needed any more"
		}
		return "a reboot is needed: " + e.Reason
	case Restarting:
		return "the machine is restarted: " + e.Reason
	case Settings:
		return "agent.toml changed and is " + cmp.Or(map[bool]string{true: "applied"}[e.Error == ""], "refused"+because(e.Error))
	}
	return string(e.Kind)
}

// lastWords are those of a log, if it has any.
func lastWords(log string) string {
	if last := plain.Line(deployment.LastWords(log)); last != "" {
		return "; the log ends with: " + plain.Cut(last, maxWords)
	}
	return ""
}

func (e Event) stepName() string {
	if e.Step == nil {
		return "a step"
	}
	if e.Step.Image != "" {
		return fmt.Sprintf("%s of %s", e.Step.Kind, e.Step.Image)
	}
	return string(e.Step.Kind)
}

func (e Event) what() string {
	if e.Image != "" {
		return fmt.Sprintf("image %q", e.Image)
	}
	if e.Part == Testing {
		return "the branch testing/" + e.Machine
	}
	if e.Part == Revert {
		return "taking back what was bad"
	}
	if e.Part == Signing {
		return "signing what other machines boot"
	}
	return "the " + cmp.Or(e.Part, Machine)
}

func because(err string) string {
	if err == "" {
		return ""
	}
	return ": " + err
}
