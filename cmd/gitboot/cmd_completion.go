package main

import (
	"bytes"
	_ "embed"

	"github.com/spf13/cobra"
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
