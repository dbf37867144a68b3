//go:build docs

package main

import (
	"bytes"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
)

// documenting is what a program built with the tag docs can do besides. What it
// takes would be a twentieth of each start.
func documenting() []*cobra.Command { return []*cobra.Command{newDocs()} }

// newDocs generates docs/commands.md, which a test compares with it, and the
// manual pages.
func newDocs() *cobra.Command {
	c := &cobra.Command{Use: "docs", Short: "Print the command reference as Markdown, or write manual pages", Args: usage.NoArgs, Hidden: true}
	man := c.Flags().String("man", "", "write manual pages into this folder instead")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *man != "" {
			return manualPages(c.Root(), *man)
		}
		text, err := commandReference(c.Root())
		if err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(text)
		return err
	}
	return c
}

// manualPages writes a page for each command. Their date is SOURCE_DATE_EPOCH,
// where that is set.
func manualPages(root *cobra.Command, dir string) error {
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Hidden = true
	}
	root.Long += "\n\n# EXIT STATUS\n```\n" + exitHelp + "\n```\n"
	return doc.GenManTree(root, &doc.GenManHeader{Title: "GITBOOT", Section: "8", Source: "gitboot " + version, Manual: "gitboot"}, dir)
}

func commandReference(root *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Commands\n\nThis page is generated, not written. Every command takes the options of\n" +
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
