package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/rehearsal"
)

func newBootLog(a *app) *cobra.Command {
	c := &cobra.Command{Use: "log [IMAGE[:GENERATION]]", Short: "Print what a boot test has printed", Args: usage.Args(cobra.MaximumNArgs(1)),
		Long: `log prints what the virtual machine printed on its console that booted a generation
before it was published, as boot_test in the config repo asks for: the last one, or the
last one of an image. The last ten are kept.`,
		Example: "  gitboot boot log\n  gitboot boot log desktop:12 | tail",
	}
	c.RunE = func(c *cobra.Command, names []string) (err error) {
		set, err := a.settings()
		if err != nil {
			return err
		}
		name := ""
		if len(names) == 1 {
			name = names[0]
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
