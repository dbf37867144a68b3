package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/reconciler"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// bashWords stands in for the package bash-completion, where it is missing.
//
//go:embed words.bash
var bashWords []byte

// ownCompletion has `gitboot completion bash` write a script that needs
// nothing but bash.
func ownCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	bash, _, err := root.Find([]string{"completion", "bash"})
	if err != nil || bash.RunE == nil {
		return
	}
	bash.RunE = func(c *cobra.Command, _ []string) error {
		descriptions, err := c.Flags().GetBool("no-descriptions")
		if err != nil {
			return err
		}
		var script bytes.Buffer
		if err := root.GenBashCompletionV2(&script, !descriptions); err != nil {
			return err
		}
		script.Write(bashWords)
		_, err = script.WriteTo(c.OutOrStdout())
		return err
	}
}

// Shells ask for these while somebody types, so they read the stage and the
// current folder and nothing else; where there is none, they are silent.

func (a *app) completeFlags(root *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"machine": a.completeMachines, "log-level": oneOf("debug", "info", "warn", "error"), "log-format": oneOf("text", "json"),
	} {
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // there is no such flag
		}
	}
}

func oneOf(words ...cobra.Completion) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// completeMachines completes machines of the current folder's config repo, else
// of the revision that was applied last.
func (a *app) completeMachines(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if files, err := source.Folder("."); err == nil {
		if fleet, err := spec.Load(c.Context(), files); err == nil {
			return fleet.Machines(), cobra.ShellCompDirectiveNoFileComp
		}
	}
	set, err := a.settings()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := reconciler.Machines(c.Context(), set.StageDir(), set.Path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// withImages completes images of the current folder's config repo, too.
func withImages(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, to string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names, what := complete(c, args, to)
		if files, err := source.Folder("."); err == nil {
			if fleet, err := spec.Load(c.Context(), files); err == nil {
				names = append(names, fleet.Images()...)
			}
		}
		return names, what
	}
}

// completeImages completes one image's name, or several.
func (a *app) completeImages(many bool) cobra.CompletionFunc {
	return a.completeNames(many, func(stage string) ([]string, error) {
		doc, err := state.LoadMachine(stage)
		if err != nil {
			return nil, err
		}
		return slices.Collect(maps.Keys(doc.Images)), nil
	})
}

// completeBuilt completes names of images that are built on this machine.
func (a *app) completeBuilt(many bool) cobra.CompletionFunc {
	return a.completeNames(many, func(stage string) ([]string, error) {
		made, err := state.LoadWorkshop(stage)
		if err != nil {
			return nil, err
		}
		return slices.Collect(maps.Keys(made.Builds)), nil
	})
}

// completeGenerations completes what names a generation.
func (a *app) completeGenerations(many bool) cobra.CompletionFunc {
	return a.completeNames(many, func(stage string) (names []string, err error) {
		doc, err := state.LoadMachine(stage)
		if err != nil {
			return nil, err
		}
		for name, img := range doc.Images {
			for _, g := range img.Generations {
				names = append(names, fmt.Sprintf("%s:%d", name, g.N))
			}
			if len(img.Generations) > 0 {
				names = append(names, name)
			}
		}
		return names, nil
	})
}

func (a *app) completeNames(many bool, names func(stage string) ([]string, error)) cobra.CompletionFunc {
	return func(_ *cobra.Command, given []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(given) > 0 && !many {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		set, err := a.settings()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		known, err := names(set.StageDir())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		out := slices.DeleteFunc(known, func(n string) bool { return slices.Contains(given, n) })
		slices.Sort(out)
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

func completeBuiltins(*cobra.Command, []string, string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	for _, help := range kind.Helps() {
		out = append(out, help.Name)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
