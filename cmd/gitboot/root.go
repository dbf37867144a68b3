package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newRoot() *cobra.Command {
	app := &app{}
	root := &cobra.Command{
		Use:   "gitboot",
		Short: "A git repo decides what this machine boots",
		Long: `gitboot clones a config repo, stages the images and hooks that it declares for
this machine, and writes boot menu entries for them.`,
		Example: `  gitboot init ~/fleet                 # a small config repo to start from
  gitboot validate ~/fleet
  gitboot plan --repo ~/fleet --machine laptop
  gitboot reconcile --once`,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		DisableAutoGenTag:          true,
		Version:                    version,
		Args:                       knownCommand,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetHelpTemplate(root.HelpTemplate() + "\n" + exitHelp + "\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	app.addFlags(root.PersistentFlags())
	root.AddCommand(
		newReconcile(app), newPlan(app), newStatus(app), newValidate(app), newInit(), newSpec(),
		newImage(app), newStage(app), newHook(app), newBoot(app), newVersion(), newDocs(),
	)
	root.SetVersionTemplate("gitboot {{.Version}}\n")
	strictHelp(root)
	ownCompletion(root)
	app.completeFlags(root)
	return root
}

// strictHelp makes `gitboot help` refuse what is no command; it keeps cobra's
// completions.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Run = nil
		help.RunE = func(c *cobra.Command, topic []string) error {
			about, rest, err := root.Find(topic)
			if err == nil {
				err = knownCommand(about, rest)
			}
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		}
	}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: knownCommand, RunE: func(c *cobra.Command, _ []string) error {
		return usageError{fmt.Errorf("%s needs one of its commands; see `%s --help`", c.CommandPath(), c.CommandPath())}
	}}
	c.SuggestionsMinimumDistance = 2
	c.AddCommand(children...)
	return c
}

// The argument checks of cobra, as usage errors.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		if err := check(c, given); err != nil {
			return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
		}
		return nil
	}
}

func noArgs(c *cobra.Command, given []string) error {
	if len(given) > 0 {
		return usageError{fmt.Errorf("%s does not take %q; see `%s --help`", c.CommandPath(), given[0], c.CommandPath())}
	}
	return nil
}

// knownCommand is asked when the first argument names no command.
func knownCommand(c *cobra.Command, given []string) error {
	if len(given) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(given[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s? ", strings.Join(near, " or "))
	}
	return usageError{fmt.Errorf("there is no command %q; %ssee `%s --help`", given[0], hint, c.CommandPath())}
}

func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON with stable fields")
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table prints rows under a header, columns aligned.
func table(w io.Writer, header string, rows [][]any) error {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, header)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(tw, "\t")
			}
			fmt.Fprint(tw, cell)
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	head, body, _ := strings.Cut(text.String(), "\n")
	_, err := io.WriteString(w, paintFor(w).in(bold, head)+"\n"+body)
	return err
}

func newVersion() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: noArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *asJSON {
			return printJSON(c.OutOrStdout(), map[string]string{"version": version})
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), "gitboot", version)
		return err
	}
	return c
}
