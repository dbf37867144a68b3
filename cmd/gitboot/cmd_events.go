package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/reconciler/event"
)

func newEvents(a *app) *cobra.Command {
	var follow, all, asJSON bool
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what the agent has done and seen since it started",
		Long: `events asks the running agent what has happened: revisions that were followed or
refused, images that were staged, built or pushed, what failed and recovered. The
last few hundred events are kept; gitboot history has the runs of before.`,
		Example: "  gitboot events\n  gitboot events --follow\n  gitboot events --follow --json | jq -c 'select(.kind == \"failed\")'",
		Args:    usage.NoArgs,
	}
	f := c.Flags()
	f.BoolVarP(&follow, "follow", "f", false, "go on with those that come, until ctrl-C")
	f.BoolVar(&all, "all", false, "also each look, run and step")
	f.BoolVar(&asJSON, "json", false, "print JSON with stable fields, one event a line")
	c.RunE = func(c *cobra.Command, _ []string) error {
		agent, err := a.client()
		if err != nil {
			return err
		}
		show := func(e event.Event) error { return printEvent(c.OutOrStdout(), e, all, asJSON) }
		if !follow {
			return agent.Events(c.Context(), 0, show)
		}
		return ended(agent.FollowEvents(c.Context(), 0, show))
	}
	return c
}

// ended is no error where somebody has ended what goes on for ever.
func ended(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func printEvent(w io.Writer, e event.Event, all, asJSON bool) error {
	switch {
	case !all && !e.Told():
		return nil
	case asJSON:
		return json.NewEncoder(w).Encode(e)
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), e.Message())
	return err
}
