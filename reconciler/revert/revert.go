// Package revert takes back, on a branch of the config repo, commits that brought a
// machine something bad: one commit whose tree is that of the revision before them. It
// pushes to no branch that is followed, and for each bad deployment once; what cannot
// be pushed now is tried again, ever more rarely.
package revert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/source/proposal"
	"github.com/gitboot/gitboot/reconciler/state"
)

// A Job is what all reverts of a machine have in common.
type Job struct {
	Machine string
	// Stage is its folder, with the records of boots.
	Stage  string
	Source source.Options
	// Patient waits with what has failed.
	Patient bool
	Now     func() time.Time
}

// Branch is the name of the branch that takes a revision back.
func Branch(machine, bad string) string {
	return fmt.Sprintf("gitboot/revert-%s-%s", machine, plan.Short(bad))
}

// Try does what is to be done now, and returns those of which something new is known.
func (j Job) Try(ctx context.Context, pending []state.Revert) (changed []state.Revert) {
	for _, r := range pending {
		if ctx.Err() != nil || j.Patient && r.Failure != nil && r.Failure.Rest(j.Now()) {
			continue
		}
		now := j.Now().UTC().Truncate(time.Second)
		commit, err := "", error(nil)
		if r.Nothing = nothing(r); r.Nothing == "" {
			commit, err = j.propose(ctx, r)
		}
		switch {
		case ctx.Err() != nil:
			continue
		case errors.Is(err, source.ErrNothing):
			r.Nothing, r.Failure = err.Error(), nil
		case err != nil:
			r.Failure = r.Failure.Tried(err, r.Deployment, j.Machine, now)
		case commit != "":
			r.Branch, r.Commit, r.Pushed, r.Failure = Branch(j.Machine, r.Bad), commit, now, nil
		}
		changed = append(changed, r)
	}
	return changed
}

// nothing says why there is nothing to take back, "" if there may be.
func nothing(r state.Revert) string {
	switch {
	case r.Bad == "":
		return "it came as a file, and by no commit"
	case r.Good == "":
		return "no revision was applied before it"
	case r.Good == r.Bad:
		return "no commit brought it: the image itself is another"
	}
	return ""
}

func (j Job) propose(ctx context.Context, r state.Revert) (string, error) {
	return source.Propose(ctx, j.Source, source.Proposal{
		Branch: Branch(j.Machine, r.Bad),
		Commit: proposal.Commit{
			Good: r.Good, Bad: r.Bad, Who: fmt.Sprintf("gitboot on %s <gitboot@%s>", j.Machine, j.Machine), When: r.Since,
			Message: func(named []proposal.Reverted, count int) string {
				return message(j.Machine, r, j.log(r), named, count)
			},
		},
	})
}

// log is the end of the log of the boot that decided, as far as it is known.
func (j Job) log(r state.Revert) string {
	if r.Boot == "" {
		return ""
	}
	b, err := deployment.ReadBoot(j.Stage, r.Boot)
	if err != nil {
		return ""
	}
	return b.Last()
}

// Note puts what has become known into a document.
func Note(doc *state.Machine, changed []state.Revert) {
	for _, c := range changed {
		for i, r := range doc.Reverts {
			if r.Deployment == c.Deployment {
				doc.Reverts[i] = c
			}
		}
	}
}

// Words say what has become of one, for people.
func Words(r state.Revert) string {
	name := fmt.Sprintf("%s, generation %d", r.Image, r.Generation)
	switch {
	case !r.Pushed.IsZero():
		return fmt.Sprintf("the branch %s takes back what brought %s: commit %s", r.Branch, name, plan.Short(r.Commit))
	case r.Nothing != "":
		return fmt.Sprintf("nothing is taken back of what brought %s: %s", name, r.Nothing)
	case r.Failure != nil:
		return fmt.Sprintf("what brought %s is not taken back yet: %s", name, r.Failure.Message)
	}
	return fmt.Sprintf("what brought %s is to be taken back", name)
}
