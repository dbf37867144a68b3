// Package disks are the commands about disks that are made: out of the config repo,
// and onto a device.
package disks

import (
	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler"
)

// A Site is what the commands are given of gitboot's other flags.
type Site struct {
	// Config is what a reconciler has to be told of a machine of the config repo, with
	// the stage that was named, "" for none.
	Config func(c *cobra.Command, show *screen.Display, machine string) (reconciler.Config, error)
	// Machines completes names of machines, MachinesAndImages those of images, too.
	Machines, MachinesAndImages cobra.CompletionFunc
}

// An unmadeError is one of who makes a file, of which nothing is there then.
type unmadeError struct {
	path string
	error
}

func (e unmadeError) Unwrap() error { return e.error }

// Left says what there is.
func (e unmadeError) Left() string { return plain.Visible(e.path) + " was not written" }

// New returns the commands.
func New(s Site) *cobra.Command {
	return usage.Group("disk", "Make disks that boot, and write them", newImage(s), newISO(s), newWrite())
}
