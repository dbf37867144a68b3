package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newDocs generates docs/commands.md; a test compares the two.
func newDocs() *cobra.Command {
	return &cobra.Command{
		Use: "docs", Short: "Print the command reference as Markdown", Args: noArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := commandReference(c.Root())
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		},
	}
}

func commandReference(root *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nThis page is `gitboot docs`: generated, not written. Every command takes the options of\n" +
		"`gitboot` itself, which override [agent.toml](agent.md), and exits with one of these.\n" +
		"The fields that `--json` prints are in [JSON output](json.md).\n" +
		"Whatever a repo, an image or a registry holds, gitboot prints text: control characters and\n" +
		"marks that turn the direction round come out as `\\u001b`, bytes that are no UTF-8 as `\\xff`.\n\n```text\n" + exitHelp + "\n```\n\n")
	err := eachCommand(root, func(c *cobra.Command) error {
		var page bytes.Buffer
		if err := doc.GenMarkdownCustom(c, &page, func(string) string { return "" }); err != nil {
			return err
		}
		text, _, _ := strings.Cut(page.String(), "### SEE ALSO")
		text, _, _ = strings.Cut(text, "### Options inherited from parent commands")
		b.WriteString(strings.TrimSpace(text) + "\n\n")
		return nil
	})
	return append(bytes.TrimSpace(b.Bytes()), '\n'), err
}

func eachCommand(c *cobra.Command, do func(*cobra.Command) error) error {
	c.InitDefaultHelpCmd()
	if err := do(c); err != nil {
		return err
	}
	for _, child := range c.Commands() {
		if child.Hidden || child.Name() == "help" || child.Name() == "completion" {
			continue
		}
		if err := eachCommand(child, do); err != nil {
			return err
		}
	}
	return nil
}
