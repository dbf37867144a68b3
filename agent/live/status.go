// Package live knows what an agent is doing now: it is told events and progress,
// and gives snapshots of what goes on, its conditions, and the last events. It
// asks nothing and decides nothing.
package live

import (
	"fmt"
	"time"

	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A Status is a snapshot of an agent. The JSON fields are stable.
type Status struct {
	Machine string    `json:"machine"`
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// Conditions are Ready, Reconciling and Stalled, in this order.
	Conditions []Condition `json:"conditions"`
	// Wanted is the revision that the config repo has, Applied what the machine
	// has converged on, and Tried the last one that was looked at, followed or not.
	Wanted  Revision `json:"wanted,omitzero"`
	Applied string   `json:"applied,omitempty"`
	Tried   Revision `json:"tried,omitzero"`
	// Remotes are what remotes of the config repo say otherwise than what is wanted,
	// a line each.
	Remotes []string `json:"remotes,omitempty"`
	// Looked is when the config repo was last read in full.
	Looked time.Time `json:"looked,omitzero"`
	// Runs are what machine and workshop do now.
	Runs []Run `json:"runs"`
	// Failures are what fails now: the repo, a part, an image.
	Failures []Failure `json:"failures"`
	// Restart says how far a restart is that is needed and that the agent is to make:
	// what it waits for, or that it comes.
	Restart string `json:"restart,omitempty"`
	// Next are what is going to be done by itself, soonest first.
	Next []plan.Coming `json:"next"`
	// Served are what was given to other machines since the agent started, by their kinds.
	Served []Served `json:"served,omitempty"`
	// LastEvent is the id of the newest event.
	LastEvent uint64 `json:"lastEvent"`
}

// A Revision is a commit of the config repo.
type Revision struct {
	Hash    string `json:"hash"`
	Subject string `json:"subject,omitempty"`
	Author  string `json:"author,omitempty"`
}

// Types of conditions.
const (
	Ready       = "Ready"
	Reconciling = "Reconciling"
	Stalled     = "Stalled"
)

// What a condition may be.
const (
	True    = "True"
	False   = "False"
	Unknown = "Unknown"
)

// A Condition is one thing that is true of the agent, or is not: as Kubernetes has
// them, with reasons of one word for programs and messages for people.
type Condition struct {
	Type     string    `json:"type"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason"`
	Message  string    `json:"message"`
	Since    time.Time `json:"since"`
	Revision string    `json:"revision,omitempty"`
}

// A Run is what one part does.
type Run struct {
	Part     string    `json:"part"`
	Trigger  string    `json:"trigger"`
	Revision string    `json:"revision"`
	Began    time.Time `json:"began"`
	// Steps are what it is going to do, Step what it does now, nil before the
	// first.
	Steps []plan.Action `json:"steps"`
	Step  *plan.Action  `json:"step,omitempty"`
	// Tasks are how far its work is.
	Tasks []Task `json:"tasks"`
}

// A Task is a piece of work that takes long: bytes that are read, or a build.
type Task struct {
	Name string `json:"name"`
	// Image is the one that it is for, empty if that is not known.
	Image string    `json:"image,omitempty"`
	Began time.Time `json:"began"`
	// Done and Total are bytes, Total 0 if not known.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	// At says which step of a build is done, Line what it printed last.
	At   string `json:"at,omitempty"`
	Line string `json:"line,omitempty"`
}

// A Served is how much was given of one kind: object, document or repo.
type Served struct {
	Kind     string `json:"kind"`
	Requests int64  `json:"requests"`
	Bytes    int64  `json:"bytes"`
}

func (s Served) String() string {
	what := "of " + s.Kind + "s"
	if s.Kind == "repo" {
		what = "of the config repo"
	}
	answers := "1 answer"
	if s.Requests != 1 {
		answers = fmt.Sprintf("%d answers", s.Requests)
	}
	return fmt.Sprintf("%s %s, in %s since the agent started", progress.Bytes(s.Bytes), what, answers)
}

// A Failure is what fails, since when and why.
type Failure struct {
	Part     string    `json:"part"`
	Image    string    `json:"image,omitempty"`
	Since    time.Time `json:"since"`
	Message  string    `json:"message"`
	Revision string    `json:"revision,omitempty"`
}
