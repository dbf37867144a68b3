//go:build !docs

package main

import "github.com/spf13/cobra"

// documenting is nothing in a program that is installed.
func documenting() []*cobra.Command { return nil }
