package main

import (
	"fmt"
	"io"
	"time"

	"github.com/gitboot/gitboot/agent/live"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// printAgent shows what an agent does, why, and what comes next.
func printAgent(w io.Writer, s live.Status, now time.Time) {
	paint := screen.PaintFor(w)
	told := ""
	for _, c := range s.Conditions {
		if c.Type != live.Ready && c.Status != live.True {
			continue // what is not so is no news
		}
		if c.Type == live.Stalled && c.Message == told {
			continue // it is why this is not ready, which stands above
		}
		told = c.Message
		colour := screen.Green
		if c.Type == live.Stalled || c.Type == live.Ready && c.Status != live.True {
			colour = screen.Red
		}
		fmt.Fprintf(w, "%s since %s: %s\n", paint.In(colour, title(c)), c.Since.Local().Format(minutes), c.Message)
	}
	if s.Wanted.Hash != "" && s.Wanted.Hash != s.Applied {
		fmt.Fprintf(w, "wanted is revision %s: %s (%s)\n", plan.Short(s.Wanted.Hash), s.Wanted.Subject, s.Wanted.Author)
	}
	if s.Tried.Hash != s.Wanted.Hash {
		fmt.Fprintf(w, "last tried was revision %s: %s (%s)\n", plan.Short(s.Tried.Hash), s.Tried.Subject, s.Tried.Author)
	}
	for _, remote := range s.Remotes {
		fmt.Fprintf(w, "%s %s\n", paint.In(screen.Yellow, "of its remotes,"), remote)
	}
	if s.Restart != "" {
		fmt.Fprintf(w, "the restart to it: %s\n", s.Restart)
	}
	for _, g := range s.Served {
		fmt.Fprintf(w, "given to other machines: %s\n", g)
	}
	for _, r := range s.Runs {
		for _, t := range r.Tasks {
			fmt.Fprintf(w, "  %s: %s\n", r.Part, describe(t, now))
		}
	}
	for i, next := range s.Next {
		if i == comingShown {
			fmt.Fprintf(w, "and %d more\n", len(s.Next)-i)
			break
		}
		fmt.Fprintf(w, "next %s: %s\n", next.Time.Local().Format("2006-01-02 15:04:05"), comingLine(next))
	}
}

// comingShown is how many of the next things to do are told.
const comingShown = 5

func title(c live.Condition) string {
	switch {
	case c.Status == live.True:
		return c.Type
	case c.Status == live.Unknown:
		return "Starting"
	}
	return "Not " + c.Type + " (" + c.Reason + ")"
}

func comingLine(c plan.Coming) string {
	line := c.What
	if c.Image != "" {
		line += " of " + c.Image
	}
	if c.Why != "" {
		line += ", " + c.Why
	}
	return line
}

func describe(t live.Task, now time.Time) string {
	took := now.Sub(t.Began).Round(time.Second)
	switch {
	case t.At != "":
		return fmt.Sprintf("%s, %s, for %s", t.Name, t.At, took)
	case t.Total > 0:
		return fmt.Sprintf("%s, %s of %s, for %s", t.Name, progress.Bytes(t.Done), progress.Bytes(t.Total), took)
	}
	return fmt.Sprintf("%s, %s, for %s", t.Name, progress.Bytes(t.Done), took)
}
