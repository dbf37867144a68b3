package forge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/state"
)

// following is an agent that follows a revision, for a reason not ready unless it
// is Converged.
func following(revision, reason string) live.Status {
	ready := live.Condition{Type: live.Ready, Status: live.False, Reason: reason, Message: "it is " + reason + "\nin more lines"}
	if reason == "Converged" {
		ready.Status = live.True
	}
	return live.Status{Machine: "laptop", Wanted: live.Revision{Hash: revision}, Conditions: []live.Condition{ready}}
}

func running(l live.Status, part string) live.Status {
	l.Runs = []live.Run{{Part: part, Revision: l.Wanted.Hash}}
	return l
}

func failing(l live.Status, f live.Failure) live.Status {
	l.Failures = append(l.Failures, f)
	return l
}

func staged(revision string) report.Status {
	return report.Status{Revision: revision, Images: []report.ImageStatus{
		{Name: "desktop", Generations: []report.GenerationStatus{{Generation: 4}, {Generation: 3}}}, {Name: "router"},
	}}
}

func booted(needed bool) report.Status {
	s := staged("r1")
	s.Reboot = report.Reboot{Needed: needed, Running: &report.GenerationRef{Image: "desktop", Generation: 3}, Next: &report.GenerationRef{Image: "desktop", Generation: 4}}
	return s
}

// What a commit is told follows from what goes on and what is staged.
func TestStatuses(t *testing.T) {
	image := live.Failure{Part: event.Machine, Image: "desktop", Message: "no such tag\nmore", Revision: "r1"}
	old := staged("r1")
	old.Images[0].Failure = &state.Failure{Message: "no such tag"}
	bad := staged("r1")
	bad.Images[0].Generations[0].State, bad.Images[0].Generations[0].Verdict = boot.Bad, &state.Verdict{State: boot.Bad, Reason: "it was not well\nmore"}
	bad.Images[0].Generations[0].LastWords = "[ 1.0] BUG"
	for what, c := range map[string]struct {
		live   live.Status
		staged report.Status
		want   []Status
	}{
		"nothing is known":          {following("", "Starting"), staged("r0"), nil},
		"it is seen":                {following("r1", "Converging"), staged("r0"), []Status{{"r1", Pending, "seen by this machine"}}},
		"it is staged":              {running(following("r1", "Converging"), event.Machine), staged("r0"), []Status{{"r1", Pending, "staging"}}},
		"something is built":        {running(following("r1", "Making"), event.Workshop), staged("r1"), []Status{{"r1", Pending, "building images"}}},
		"it converged":              {following("r1", "Converged"), staged("r1"), []Status{{"r1", Success, "staged: desktop, generation 4"}}},
		"an agent begins anew":      {following("r1", "Converging"), staged("r1"), []Status{{"r1", Success, "staged: desktop, generation 4"}}},
		"it boots next":             {following("r1", "Converged"), booted(true), []Status{{"r1", Success, "staged: desktop, generation 4; boots next"}}},
		"it was booted":             {following("r1", "Converged"), booted(false), []Status{{"r1", Success, "booted: desktop, generation 3"}}},
		"it is bad":                 {following("r1", "Converged"), bad, []Status{{"r1", Failure, "bad: desktop, generation 4: it was not well; the log ends with: [ 1.0] BUG"}}},
		"it wants nothing":          {following("r1", "Converged"), report.Status{Revision: "r1"}, []Status{{"r1", Success, "nothing is wanted of this machine"}}},
		"it waits":                  {following("r1", "Suspended"), staged("r0"), []Status{{"r1", Pending, "it is Suspended"}}},
		"it waits, but is there":    {following("r1", "Suspended"), staged("r1"), []Status{{"r1", Success, "staged: desktop, generation 4"}}},
		"an image fails":            {failing(following("r1", "ImageFailed"), image), staged("r1"), []Status{{"r1", Failure, "image desktop: no such tag"}}},
		"it is tried again":         {running(failing(following("r1", "ImageFailed"), image), event.Machine), staged("r1"), []Status{{"r1", Failure, "image desktop: no such tag"}}},
		"the next may mend it":      {running(failing(following("r2", "ImageFailed"), image), event.Machine), staged("r1"), []Status{{"r2", Pending, "staging"}}},
		"it failed before a start":  {following("r1", "Converged"), old, []Status{{"r1", Failure, "image desktop: no such tag"}}},
		"all fails":                 {failing(failing(following("r1", "Failed"), image), live.Failure{Part: event.Machine, Message: "disk full"}), staged("r0"), []Status{{"r1", Failure, "the machine: disk full"}}},
		"the repo is away":          {failing(following("r1", "Refused"), live.Failure{Part: event.Repo, Message: "no route"}), staged("r1"), []Status{{"r1", Success, "staged: desktop, generation 4"}}},
		"another one is refused":    {failing(following("r1", "Refused"), live.Failure{Part: event.Repo, Message: "unknown key\nmore", Revision: "r2"}), staged("r1"), []Status{{"r2", Failure, "not followed: unknown key"}, {"r1", Success, "staged: desktop, generation 4"}}},
		"it is refused meanwhile":   {failing(following("r1", "Refused"), live.Failure{Part: event.Repo, Message: "unsigned", Revision: "r1"}), staged("r1"), []Status{{"r1", Failure, "not followed: unsigned"}}},
		"the first one was refused": {failing(following("", "Refused"), live.Failure{Part: event.Repo, Message: "unsigned", Revision: "r1"}), report.Status{}, []Status{{"r1", Failure, "not followed: unsigned"}}},
	} {
		if diff := cmp.Diff(c.want, statuses(c.live, c.staged)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}
