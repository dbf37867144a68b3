package state

import (
	"fmt"
	"time"

	"github.com/gitboot/gitboot/boot"
)

// Trial is a deployment that boots once and goes after that. It is no generation:
// nothing takes it for what the config repo wants. The JSON fields are stable.
type Trial struct {
	Image      string `json:"image"`
	Deployment string `json:"deployment"`
	// Source is what somebody named, or a branch: an image's reference, or a name
	// in the config repo, which was then at Revision.
	Source   string    `json:"source"`
	Revision string    `json:"revision,omitempty"`
	Digest   string    `json:"digest"`
	Since    time.Time `json:"since"`
}

// Title is what a boot menu calls it, after a word that it is tried.
func (t *Trial) Title() string {
	return fmt.Sprintf("%s (%s, %s)", t.Source, t.Image, t.Since.UTC().Format("2006-01-02 15:04"))
}

// Over reports whether a trial has had its boot, and was left again: the boot
// loader is asked for it no more, and it is not what runs.
func (t *Trial) Over(asked, booted string) bool {
	return t != nil && asked != boot.TrialID(t.Deployment) && booted != t.Deployment
}
