package state

import "time"

// Recovery is the recovery entry. The JSON fields are stable.
type Recovery struct {
	// Deployment is its own, "" if none was made yet; Image and Kernel are what it
	// was made of, and Made when.
	Deployment string    `json:"deployment,omitempty"`
	Image      string    `json:"image,omitempty"`
	Kernel     string    `json:"kernel,omitempty"`
	Made       time.Time `json:"made,omitzero"`
	// Key tells what was declared when it was made.
	Key string `json:"key,omitempty"`
	// Failure is why one as it is declared now could not be made.
	Failure *Failure `json:"failure,omitempty"`
}

// Title is what a boot menu calls it.
func (r *Recovery) Title() string {
	return "Recovery (kernel " + r.Kernel + " of " + r.Image + ", made " + r.Made.UTC().Format("2006-01-02") + ")"
}
