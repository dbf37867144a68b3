package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/settings"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/reconciler/upkeep"
)

// newBoot has the commands that others bring besides its own.
func newBoot(a *app, others []*cobra.Command) *cobra.Command {
	own := []*cobra.Command{newBootList(a), newBootSetDefault(a), newBootCurrent(), newBootHistory(a), newBootLog(a), newBootUKI(a), newBootUnlink(a)}
	return usage.Group("boot", "Look at the boot menu, choose what boots, and say what is good", slices.Concat(own, others)...)
}

type entryJSON struct {
	Entry      string `json:"entry"`
	Image      string `json:"image"`
	Generation int    `json:"generation"`
	Deployment string `json:"deployment"`
	Default    bool   `json:"default"`
	Booted     bool   `json:"booted"`
	// State is good, trying or bad, empty where that is not known.
	State string `json:"state,omitempty"`
	// Hidden says why the menu has no such entry, empty if it has.
	Hidden string `json:"hidden,omitempty"`
	// Recovery is the recovery entry, which is no generation: its image is what it was
	// made of.
	Recovery bool `json:"recovery,omitempty"`
	// SafeGraphics is the entry without graphics drivers, of a generation that has one of
	// its own.
	SafeGraphics bool `json:"safeGraphics,omitempty"`
}

// unshown is why an entry is not there that should be.
const unshown = "not in the boot menu; the next reconcile writes it, or says why not"

// entriesOf are the entries that there are, or should be.
func entriesOf(s report.Status) []entryJSON {
	entries := []entryJSON{}
	for _, img := range s.Images {
		for _, g := range img.Generations {
			entries = append(entries, entryJSON{g.Entry, img.Name, g.Generation, g.Deployment, g.Entry == s.Default, g.Booted, g.State, g.Hidden, false, false})
		}
	}
	if safe := s.SafeGraphics; safe != nil {
		e := entryJSON{Entry: safe.Entry, Image: safe.Image, Generation: safe.Generation, Deployment: safe.Deployment, SafeGraphics: true}
		if safe.Hidden {
			e.Hidden = unshown
		}
		entries = append(entries, e)
	}
	if r := s.Recovery; r != nil && r.Deployment != "" {
		e := entryJSON{r.Entry, r.Image, 0, r.Deployment, r.Entry == s.Default, r.Deployment == s.Booted, "", "", true, false}
		if r.Hidden {
			e.Hidden = unshown
		}
		entries = append(entries, e)
	}
	return entries
}

func newBootList(a *app) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List gitboot's entries in the boot menu", Args: usage.NoArgs,
		Long: "list shows the entry of each generation on the stage, that without graphics drivers, and\nthe recovery entry. One that the menu does not have is noted, with the reason."}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := a.staged(c)
		if err != nil {
			return err
		}
		entries := entriesOf(s)
		header := "ENTRY\tIMAGE\tGENERATION\tDEPLOYMENT\tDEFAULT\tBOOTED\tSTATE"
		noted := header + "\tNOTE"
		var rows [][]any
		for _, e := range entries {
			generation := any(e.Generation)
			if e.Recovery {
				generation = "recovery"
			}
			row := []any{e.Entry, e.Image, generation, plan.Short(e.Deployment), screen.Mark(e.Default), screen.Mark(e.Booted), cmp.Or(e.State, "-")}
			if e.Hidden != "" {
				header, row = noted, append(row, e.Hidden)
			}
			rows = append(rows, row)
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), entries)
		}
		return screen.Table(c.OutOrStdout(), header, rows)
	}
	return c
}

func newBootSetDefault(a *app) *cobra.Command {
	var newest bool
	c := &cobra.Command{Use: "set-default NAME | --newest", Short: "Choose the entry that boots by itself", Args: usage.Args(cobra.MaximumNArgs(1)), ValidArgsFunction: a.completeGenerations(false),
		Long:    "set-default chooses IMAGE, IMAGE:GENERATION, an entry or a deployment. The choice\nstands until its generation is removed or another is made. It needs the machine's\nboot mode \"managed\".",
		Example: "  gitboot boot set-default desktop:3\n  gitboot boot set-default --newest"}
	c.Flags().BoolVar(&newest, "newest", false, "go back to the newest generation of the first image")
	c.Flags().BoolVar(&a.wait, "wait", false, "wait for another run to finish instead of failing")
	c.RunE = func(c *cobra.Command, names []string) error {
		if newest == (len(names) == 1) {
			return usage.Errorf("set-default needs a NAME or --newest")
		}
		r, err := a.stageReconciler(c, nil)
		if err != nil {
			return err
		}
		if newest {
			if _, err := r.Machine.SetDefault(c.Context(), "", a.wait); err != nil {
				return err
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), "default is the newest generation of the first image")
			return err
		}
		found, err := r.Machine.SetDefault(c.Context(), names[0], a.wait)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "default is %s:%d (%s)\n", found.Image, found.N, plan.Short(found.Deployment))
		return err
	}
	return c
}

func newBootCurrent() *cobra.Command {
	c := &cobra.Command{Use: "current", Short: "Show which deployment is running", Args: usage.NoArgs,
		Long: "current exits with 1 if this system was not booted by gitboot."}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		b, err := settings.Cmdline()
		if err != nil {
			return err
		}
		if b.Deployment == "" {
			return boot.ErrNotBooted
		}
		if *asJSON {
			return screen.JSON(c.OutOrStdout(), map[string]string{"deployment": b.Deployment, "stage": b.Stage.String(), "machine": b.Machine})
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), b.Deployment)
		return err
	}
	return c
}

func newBootUnlink(a *app) *cobra.Command {
	return &cobra.Command{Use: "unlink", Short: "Take gitboot's lines out of GRUB's custom.cfg, its entries out of systemd-boot's, or its lines out of extlinux.conf or config.txt", Args: usage.NoArgs,
		Long: "unlink removes gitboot's entries from the boot menu by taking its lines out of\ncustom.cfg, and copies of kernels beside it; what is yours stays. The stage is left as\nit is, and the next reconcile links it again.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := a.localConfig(nil)
			if err != nil {
				return err
			}
			file, err := upkeep.Unlink(c.Context(), cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s does not name gitboot's menu any more\n", file)
			return err
		},
	}
}
