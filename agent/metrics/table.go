package metrics

// A Metric is one row of docs/monitoring.md.
type Metric struct {
	Name, Type, Labels, Help string
}

// The types.
const (
	gauge     = "gauge"
	counter   = "counter"
	histogram = "histogram"
)

// Table has all metrics but those of Go and of the process, in the page's order.
func Table() []Metric {
	return []Metric{
		{"gitboot_build_info", gauge, "version, goversion", "1; the label says which gitboot it is."},
		{"gitboot_machine_info", gauge, "machine", "1; the label says which of the config repo's machines it is."},
		{"gitboot_condition", gauge, "type, status", "1 for the status that a condition has, 0 for the others: Ready, Reconciling, Stalled; True, False, Unknown."},
		{"gitboot_condition_since_timestamp_seconds", gauge, "type", "Since when a condition has its status and its reason."},
		{"gitboot_revision_info", gauge, "kind, revision", "1; the revision that is wanted, applied, and was tried last."},
		{"gitboot_looked_timestamp_seconds", gauge, "", "When the config repo was last read in full."},
		{"gitboot_failure_since_timestamp_seconds", gauge, "part, image", "Since when something fails: the repo, the machine or workshop as a whole, or an image. Absent for what does not."},
		{"gitboot_run_began_timestamp_seconds", gauge, "part", "When the run began that goes on. Absent without one."},
		{"gitboot_next_timestamp_seconds", gauge, "what, image", "When something is going to be done by itself next."},
		{"gitboot_reboot_needed", gauge, "", "1 if what boots next is another than what runs, else 0."},
		{"gitboot_suspended", gauge, "", "1 while nothing changes by itself because somebody has suspended it, else 0."},
		{"gitboot_waiting", gauge, "", "1 while a revision is staged and waits to be published, else 0."},
		{"gitboot_drift", gauge, "", "How much is known not to be as it was written, and not put right."},
		{"gitboot_drift_noticed_timestamp_seconds", gauge, "", "When something was last found not to be as it was written. Absent if nothing was."},
		{"gitboot_image_generations", gauge, "image", "How many generations of an image are staged."},
		{"gitboot_image_damaged_generations", gauge, "image", "How many of them lack something or are not what they were."},
		{"gitboot_image_staged_timestamp_seconds", gauge, "image", "When its newest generation was staged."},
		{"gitboot_image_checked_timestamp_seconds", gauge, "image", "When its tag or archive was last looked up."},
		{"gitboot_image_booted", gauge, "image", "1 if the system that runs is of this image, else 0."},
		{"gitboot_image_bad", gauge, "image", "1 if its newest generation is known to be bad, else 0."},
		{"gitboot_image_trying", gauge, "image", "1 if its newest generation is on trial, else 0."},
		{"gitboot_image_outdated", gauge, "image", "1 if the system that runs is of this image and not of its newest generation, else 0."},
		{"gitboot_image_fetched_bytes", gauge, "image, from", "What of its newest generation came of whom: peer, mirror, registry. Absent if all was on the stage, or it comes of none of these."},
		{"gitboot_build_timestamp_seconds", gauge, "image", "When an image was last built here with success."},
		{"gitboot_signed_timestamp_seconds", gauge, "machine", "When all that another machine boots was signed here at a new revision. Absent until it is."},
		{"gitboot_signing_failure_since_timestamp_seconds", gauge, "machine", "Since when signing what another machine boots fails. Absent while it does not."},
		{"gitboot_stage_size_bytes", gauge, "", "How large the stage's file system is."},
		{"gitboot_stage_free_bytes", gauge, "", "How much of it is free."},
		{"gitboot_events_total", counter, "kind", "Events since the agent began, by the kinds of `gitboot events`."},
		{"gitboot_looks_total", counter, "outcome", "Looks at the config repo: followed or refused."},
		{"gitboot_runs_total", counter, "part, outcome", "Runs of machine and workshop that did something: done or failed."},
		{"gitboot_run_duration_seconds", histogram, "part", "How long they took."},
		{"gitboot_served_requests_total", counter, "kind", "Requests of other machines that were answered with something: object, document, repo."},
		{"gitboot_served_bytes_total", counter, "kind", "Bytes that were sent for them."},
	}
}

// find returns a metric's row. The names are written in this package alone, so
// that one which has no row is a mistake in it.
func find(name string) Metric {
	for _, m := range Table() {
		if m.Name == name {
			return m
		}
	}
	panic("no metric " + name)
}
