package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot/uki"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/unified"
)

func newBootUKI(a *app) *cobra.Command {
	var o unified.Options
	var out string
	c := &cobra.Command{Use: "uki NAME", Short: "Write a generation as one signed program that UEFI starts", Args: usage.Args(cobra.ExactArgs(1)), ValidArgsFunction: a.completeGenerations(false),
		Long: `uki writes kernel, initramfs and command line of a generation as one file, a unified
kernel image. With --key and --certificate it is signed: where Secure Boot
trusts that certificate, the firmware starts it as it was made, or not at all. The
command line names the deployment by the hash of its manifest, and that names the
layers by theirs: with verity = "enforce" nothing that boots can be another. What is not
covered is told.

The firmware starts it, or systemd-boot shows it, from EFI/Linux/ on the EFI system
partition, where you put it. gitboot does not count its boots, does not remove it, and
has its generation only for as long as that is kept (gitboot pin).`,
		Example: "  gitboot boot uki desktop:3 -o /efi/EFI/Linux/desktop-3.efi --key db.key --certificate db.crt\n  gitboot boot uki desktop -o desktop.efi"}
	f := c.Flags()
	f.StringVarP(&out, "output", "o", "", "file to write")
	f.StringVar(&o.Key, "key", "", "private key that signs, in PEM form, which nobody else may read")
	f.StringVar(&o.Certificate, "certificate", "", "its certificate, in PEM form")
	f.StringVar(&o.Stub, "stub", uki.Stub(""), "the stub that starts the kernel")
	c.RunE = func(c *cobra.Command, names []string) error {
		switch {
		case out == "":
			return usage.Errorf("uki needs --output FILE")
		case (o.Key == "") != (o.Certificate == ""):
			return usage.Errorf("--key and --certificate belong together")
		}
		path, err := filepath.Abs(out)
		if err != nil {
			return err
		}
		show := screen.New(c.ErrOrStderr())
		r, err := a.stageReconciler(c, show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		made, err := unified.Write(c.Context(), &r.Machine.Book, names[0], o, path)
		if err := errors.Join(err, show.Close()); err != nil {
			return err
		}
		how := "signed"
		if o.Key == "" {
			how = "not signed: Secure Boot does not start it"
		}
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s: %s:%d, %s\ncommand line: %s\n", out, made.Image, made.N, how, made.Cmdline); err != nil || made.Uncovered == "" {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), "not covered: "+made.Uncovered)
		return err
	}
	return c
}
