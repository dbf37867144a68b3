package main

import (
	"cmp"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
	"github.com/gitboot/gitboot/reconciler/state"
)

func newBootLog(a *app) *cobra.Command {
	c := &cobra.Command{Use: "log [IMAGE[:GENERATION]]", Short: "Print what a boot test has printed, or what a kernel said last", Args: usage.Args(cobra.MaximumNArgs(1)),
		Long: `log prints what the virtual machine printed on its console that booted a generation
before it was published, as boot_test in the config repo asks for: the last one, or the
last one of an image. The last ten are kept.

With --kernel it prints the end of the kernel's log of the last boot that failed of which
it is known, or of the last such boot of a generation. It is what the kernel itself has
kept (pstore: in the firmware's variables, in an error record table, in memory that
ramoops was given), else what process 1 or the watcher could write to the stage.`,
		Example: "  gitboot boot log\n  gitboot boot log desktop:12 | tail\n  gitboot boot log --kernel",
	}
	kernel := c.Flags().Bool("kernel", false, "print the end of the kernel's log of the last boot that failed")
	c.RunE = func(c *cobra.Command, names []string) (err error) {
		set, err := a.settings()
		if err != nil {
			return err
		}
		name := ""
		if len(names) == 1 {
			name = names[0]
		}
		if *kernel {
			return kernelLog(c.OutOrStdout(), set.StageDir(), name)
		}
		log, err := rehearsal.LastLog(set.StageDir(), name)
		if err != nil {
			return &usage.Error{Err: err}
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		_, err = io.Copy(c.OutOrStdout(), log)
		return err
	}
	return c
}

// kernelLog prints what is known of the kernel's log of the last boot that failed, of a
// generation or, with "", of any.
func kernelLog(to io.Writer, stage, name string) error {
	wanted := ""
	if name != "" {
		doc, err := state.LoadMachine(stage)
		if err != nil {
			return err
		}
		found, err := doc.Find(name)
		if err != nil {
			return &usage.Error{Err: err}
		}
		wanted = found.Deployment
	}
	boots, err := deployment.ReadBoots(stage)
	if err != nil {
		return err
	}
	for _, b := range boots {
		if last := b.Last(); last != "" && cmp.Or(wanted, b.Deployment) == b.Deployment {
			_, err := io.WriteString(to, last)
			return err
		}
	}
	if name == "" {
		return usage.Errorf("nothing is known of how a kernel ended; `gitboot boot history` lists the boots")
	}
	return usage.Errorf("nothing is known of how a kernel of %s ended; `gitboot boot history` lists the boots", name)
}
