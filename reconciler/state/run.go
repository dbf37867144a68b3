package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/stage"
)

// RunsKept is how many runs are remembered.
const RunsKept = 100

// Person is the part of what a person decided.
const Person = "person"

// A Run is what one run that did something, or failed, did: a file of its own in
// runs/, so that workshop and machine can each write theirs; or what a person decided
// beside the config repo. The JSON fields are
// stable.
type Run struct {
	// Part is "workshop", "machine" or Person, Trigger what asked for the run.
	Part    string `json:"part"`
	Trigger string `json:"trigger"`
	// Revision is that of the config repo, Subject and Author are its commit's.
	Revision string `json:"revision"`
	Subject  string `json:"subject,omitempty"`
	Author   string `json:"author,omitempty"`
	// Approved is what approved of the revision, if something had to.
	Approved []string `json:"approved,omitempty"`
	// By is the person who had it done, Did what that was, and Why the reason given:
	// of what is no run.
	By    string    `json:"by,omitempty"`
	Did   string    `json:"did,omitempty"`
	Why   string    `json:"why,omitempty"`
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Steps are the plan's actions, in the order in which they were begun.
	Steps []Step `json:"steps"`
	// Failed are the images that failed, and why; Error is why the run ended
	// before its end.
	Failed map[string]string `json:"failed,omitempty"`
	Error  string            `json:"error,omitempty"`
}

// A Step is an action of a plan that was executed.
type Step struct {
	plan.Action
	Began time.Time `json:"began"`
}

// Fail notes which images failed, and why the run did not come to its end.
func (r *Run) Fail(failed map[string]error, failure error) {
	for name, err := range failed {
		if r.Failed == nil {
			r.Failed = map[string]string{}
		}
		r.Failed[name] = told(err)
	}
	if failure != nil {
		r.Error = told(failure)
	}
}

// Decision says what a person did, and why.
func (r Run) Decision() string {
	if r.Why == "" {
		return r.Did
	}
	return r.Did + ": " + r.Why
}

// Save keeps the record, and forgets the oldest beyond RunsKept.
func (r Run) Save(dir string) error {
	folder := stage.Layout(dir).Runs()
	if err := durable.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("keep the record of the run: %w", err)
	}
	if r.Steps == nil {
		r.Steps = []Step{}
	}
	name := r.Began.UTC().Format("20060102T150405.000000000Z") + "-" + r.Part + ".json"
	if err := write(filepath.Join(folder, name), "the record of the run", r); err != nil {
		return err
	}
	names, err := runNames(folder)
	for _, old := range names[:max(0, len(names)-RunsKept)] {
		err = errors.Join(err, os.Remove(filepath.Join(folder, old)))
	}
	return err
}

// Runs returns the last runs, newest first. What cannot be read is left out: it
// is no more than a memory.
func Runs(dir string) ([]Run, error) {
	folder := stage.Layout(dir).Runs()
	names, err := runNames(folder)
	if err != nil {
		return nil, err
	}
	runs := []Run{}
	for _, name := range slices.Backward(names) {
		var r Run
		if data, err := os.ReadFile(filepath.Join(folder, name)); err == nil && json.Unmarshal(data, &r) == nil {
			runs = append(runs, r)
		}
	}
	return runs, nil
}

// runNames are the records' files, oldest first.
func runNames(folder string) (names []string, err error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".json" {
			names = append(names, e.Name())
		}
	}
	return names, err
}
