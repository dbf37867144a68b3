package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/parcel"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
)

type exportOptions struct {
	out, scratch, key string
	machines, since   []string
	secrets, json     bool
}

func newStageExport(a *app) *cobra.Command {
	var o exportOptions
	c := &cobra.Command{Use: "export {NAME | --for MACHINE}", Short: "Write what boots where there is no network", ValidArgsFunction: a.completeGenerations(false),
		Args: usage.Args(func(c *cobra.Command, names []string) error {
			switch {
			case len(o.machines) == 0:
				return cobra.ExactArgs(1)(c, names)
			case len(names) > 0:
				return errors.New("--for says what is exported; leave out the name")
			}
			return nil
		}),
		Long: `export writes a deployment with all it needs as one file, for a machine that has
no registry. The file holds the hooks' files too, ssh host keys included: keep it
as you keep those. One that holds secrets of the config repo, in the clear, is
written with --with-secrets only.

With --for, it writes a folder, such as one on a stick, for machines that reach
neither the config repo nor a registry: the repo at the revision that was applied here
last, what registries say of the images that those machines want, and what their layers
become. gitboot stage import there makes a run of it, hooks and all, and verifies what it
would verify of the servers. No hook's files and no secrets in the clear are in it.
Images that are staged here are taken as they are; others are fetched and made.

What is made here is believed there where the image has neither cosign_key nor
objects_from; else where it is signed, by --key, with a key that these name. What would
not be believed is taken along as it is in the registry, and made there.

--since leaves out the layers of a generation that those machines have. A folder that
has been made before is made anew, and what has not changed stays.`,
		Example: `  gitboot stage export desktop -o desktop.gitboot
  gitboot stage export desktop:3 | ssh host gitboot stage import -
  gitboot stage export --for laptop --for kiosk -o /media/stick/fleet
  gitboot stage export --for laptop --since desktop:3 -o fleet`}
	c.Flags().StringVarP(&o.out, "output", "o", "-", "file to write, - for standard output; with --for, folder")
	c.Flags().StringSliceVar(&o.machines, "for", nil, "write a folder for this `MACHINE`; may be given several times")
	c.Flags().StringSliceVar(&o.since, "since", nil, "with --for: leave out the layers of this `GENERATION`; may be given several times")
	c.Flags().StringVar(&o.key, "key", "", "with --for: sign with the private key in `FILE` (default: objects_key_file of agent.toml)")
	c.Flags().StringVar(&o.scratch, "scratch", "/var/tmp", "with --for: folder with room for what has to be made")
	secretsFlag(c, &o.secrets)
	c.Flags().BoolVar(&o.json, "json", false, "with --for: print JSON with stable fields")
	if err := c.RegisterFlagCompletionFunc("for", a.completeMachines); err != nil {
		panic(err) // there is no such flag
	}
	c.RunE = func(c *cobra.Command, names []string) error {
		if len(o.machines) > 0 {
			return exportParcel(c, a, o)
		}
		return exportDeployment(c, a, names[0], o)
	}
	return c
}

func exportDeployment(c *cobra.Command, a *app, name string, o exportOptions) error {
	if len(o.since) > 0 || o.key != "" || o.json {
		return usage.Errorf("--since, --key and --json are for a folder; give --for with them")
	}
	if o.out == "-" {
		if err := binaryTo(c.OutOrStdout()); err != nil {
			return err
		}
	}
	show := screen.New(c.ErrOrStderr())
	r, err := a.stageReconciler(c, show)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	if held, err := r.Machine.Secrets(name); err != nil || len(held) > 0 && !o.secrets {
		return errors.Join(err, inTheClear(name, held), show.Close())
	}
	return errors.Join(toOutput(c, o.out, func(w io.Writer) error { return r.Machine.Export(c.Context(), name, w) }), show.Close())
}

func exportParcel(c *cobra.Command, a *app, o exportOptions) error {
	if o.out == "-" {
		return usage.Errorf("--for writes a folder: name it with -o")
	}
	set, err := a.settings()
	if err != nil {
		return err
	}
	order := parcel.Order{Machines: o.machines, Since: o.since, Scratch: o.scratch}
	if order.To, err = filepath.Abs(o.out); err != nil {
		return err
	}
	if order.Key, err = readymade.ReadKey(cmp.Or(o.key, set.ObjectsKeyFile)); err != nil {
		return err
	}
	show := screen.New(c.ErrOrStderr())
	cfg, err := configOf(a, c, show, settings.Settings.Publishing)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	order.Log, order.Progress = cfg.Log, cfg.Progress
	made, err := parcel.Export(c.Context(), cfg, order)
	if err = errors.Join(notWritten(order.To, err), show.Close()); err != nil {
		return err
	}
	return printExported(c, made, o.json)
}

func printExported(c *cobra.Command, made parcel.Exported, asJSON bool) error {
	if asJSON {
		return screen.JSON(c.OutOrStdout(), made)
	}
	for _, name := range slices.Sorted(maps.Keys(made.Left)) {
		fmt.Fprintf(c.ErrOrStderr(), "image %s is not in it: %s\n", name, made.Left[name])
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "exported revision %s for %s: %s, %s, of which %s were written\n", plan.Short(made.Revision), strings.Join(made.Machines, ", "),
		screen.Count(len(made.Images), "image"), screen.Count(made.Objects, "object"), progress.Bytes(made.Bytes))
	return err
}

func newStageImport(a *app) *cobra.Command {
	c := &cobra.Command{Use: "import {FILE | FOLDER}", Short: "Stage what export wrote", Args: usage.Args(cobra.ExactArgs(1)),
		Long: `import stages the deployment that is in a file, as a new generation of its image.

Of a folder that was written with --for it makes a run, as gitboot reconcile --once
does, in which the folder stands for the config repo and for all registries: commits,
signatures and digests are verified as if they had come from there, hooks are
made here, and nobody is asked over the network.`,
		Example: "  gitboot stage import desktop.gitboot\n  gitboot stage import /media/stick/fleet"}
	c.Flags().BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	c.RunE = func(c *cobra.Command, names []string) error {
		show := screen.New(c.ErrOrStderr())
		cfg, err := a.reconcilerConfig(c, show)
		if err != nil {
			return errors.Join(err, show.Close())
		}
		if info, err := os.Stat(names[0]); err == nil && info.IsDir() {
			return importParcel(c, a, show, cfg, names[0])
		}
		return importDeployment(c, a, show, cfg, names[0])
	}
	return c
}

func importParcel(c *cobra.Command, a *app, show *screen.Display, cfg reconciler.Config, dir string) error {
	began := time.Now()
	result, err := parcel.Import(c.Context(), cfg, dir, a.request())
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	if err := printResult(c.OutOrStdout(), result, time.Since(began), false); err != nil {
		return err
	}
	return result.Err()
}

func importDeployment(c *cobra.Command, a *app, show *screen.Display, cfg reconciler.Config, name string) error {
	r, err := reconciler.New(cfg)
	if err != nil {
		return errors.Join(err, show.Close())
	}
	file, err := openInput(c, name)
	if err != nil {
		return errors.Join(&usage.Error{Err: err}, show.Close())
	}
	defer file.Close()
	found, err := r.Machine.Import(c.Context(), file, a.wait)
	if err = errors.Join(err, show.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "imported %s:%d (%s)\n", found.Image, found.N, plan.Short(found.Deployment))
	return err
}

// toOutput writes to a file, or with "-" to standard output.
func toOutput(c *cobra.Command, path string, write func(io.Writer) error) error {
	if path == "-" {
		return write(screen.Document(c.OutOrStdout()))
	}
	return toFile(path, write)
}

// toFile leaves no file behind unless it is whole.
func toFile(path string, write func(io.Writer) error) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return &usage.Error{Err: err}
	}
	return notWritten(dir, durable.Output(path, 0o600, write))
}

// notWritten adds what to do to an error of a disk that is full or fails on which a
// file is written.
func notWritten(dir string, err error) error {
	file, met := durable.Met(err)
	if full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT); full && met && durable.Below(dir, file) {
		return fmt.Errorf("%w; make room in %s, or name a file elsewhere", err, dir)
	}
	return durable.Failing(dir, err)
}

// openInput opens a file, or standard input, of which not even the opening may
// end.
func openInput(c *cobra.Command, name string) (io.ReadCloser, error) {
	open := func() (io.ReadCloser, error) {
		file, err := filepath.Abs(name) // so that errors tell where that is
		if err != nil {
			return nil, err
		}
		return os.Open(file)
	}
	if name == "-" {
		open = func() (io.ReadCloser, error) { return io.NopCloser(c.InOrStdin()), nil }
	} else if info, err := os.Stat(name); err != nil || info.Mode().IsRegular() {
		return open()
	}
	return ctxio.Detached(c.Context(), open), nil
}
