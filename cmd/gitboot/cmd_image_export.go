package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/upkeep"
)

func newImageExport(a *app) *cobra.Command {
	var out string
	var what upkeep.RootExport
	c := &cobra.Command{Use: "export NAME", Short: "Write an image that is staged as one plain root file system", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeGenerations(true),
		Long: `export writes the layers of a generation, joined, as a tar: for tools that make other
things of a root file system, and for looking into it. Kernel and modules are in it,
gitboot's initramfs is not. With --hooks the hooks' files lie above the image's, ssh host
keys included: keep it as you keep those. One that holds secrets of the config repo, in
the clear, is written with --with-secrets only.

The same generation gives the same bytes. gitboot stage export writes a generation for
another machine of gitboot's.`,
		Example: `  gitboot image export desktop -o root.tar
  gitboot image export desktop:3 --hooks | tar -C root --xattrs --xattrs-include='*' -xpf -
  gitboot image export desktop | docker import - desktop`}
	c.Flags().StringVarP(&out, "output", "o", "-", "file to write, - for standard output")
	c.Flags().BoolVar(&what.Hooks, "hooks", false, "with the hooks' files")
	var secrets bool
	secretsFlag(c, &secrets)
	c.RunE = func(c *cobra.Command, names []string) error {
		if out == "-" {
			if err := binaryTo(c.OutOrStdout()); err != nil {
				return err
			}
		}
		show := screen.New(c.ErrOrStderr())
		r, err := a.stageReconciler(c, show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		if what.Hooks {
			if held, err := r.Machine.Secrets(names[0]); err != nil || len(held) > 0 && !secrets {
				return errors.Join(err, inTheClear(names[0], held), show.Close())
			}
		}
		what.Name, what.Sink = names[0], show.Progress()
		var sockets int
		err = toOutput(c, out, func(w io.Writer) (err error) {
			sockets, err = what.Write(c.Context(), r.Machine.Stage, w)
			return err
		})
		if err = errors.Join(err, show.Close()); err == nil && sockets > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "%d sockets are left out: a tar can hold none\n", sockets)
		}
		return err
	}
	return c
}
