package sealing

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gitboot/gitboot/cmd/gitboot/internal/screen"
	"github.com/gitboot/gitboot/cmd/gitboot/internal/usage"
	"github.com/gitboot/gitboot/spec"
)

// Readers is who can read a secret, as list and validate print it with --json.
type Readers struct {
	Name       string   `json:"name"`
	File       string   `json:"file"`
	Machines   []string `json:"machines"`
	Keyless    []string `json:"keyless"`
	Others     int      `json:"others"`
	Recipients []string `json:"recipients"`
	Problem    string   `json:"problem"`
}

// ReadersOf describes secrets.
func ReadersOf(secrets []spec.Secret) []Readers {
	out := []Readers{}
	for _, s := range secrets {
		r := Readers{
			Name: s.Name, File: s.File, Machines: append([]string{}, s.Machines...), Keyless: append([]string{}, s.Keyless...),
			Others: s.Others, Recipients: []string{}, Problem: s.Mismatch(),
		}
		for _, key := range s.Recipients {
			r.Recipients = append(r.Recipients, key.String())
		}
		out = append(out, r)
	}
	return out
}

// maxNamed is how many machines a line names.
const maxNamed = 10

// Tell prints who can read which secret.
func Tell(w io.Writer, secrets []Readers) error {
	var rows [][]any
	for _, r := range secrets {
		who := append([]string{}, r.Machines[:min(len(r.Machines), maxNamed)]...)
		if more := len(r.Machines) - maxNamed; more > 0 {
			who = append(who, fmt.Sprintf("%d more machines", more))
		}
		if r.Others > 0 {
			who = append(who, screen.Count(r.Others, "other key"))
		}
		if len(r.Keyless) > 0 {
			who = append(who, fmt.Sprintf("not yet %s: no key", strings.Join(r.Keyless[:min(len(r.Keyless), maxNamed)], ", ")))
		}
		state := "ok"
		if r.Problem != "" {
			state = r.Problem
		}
		rows = append(rows, []any{r.Name, r.File, screen.OrDash(strings.Join(who, ", ")), state})
	}
	return screen.Table(w, "SECRET\tFILE\tREADABLE BY\tSTATE", rows)
}

func newList(s Site) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Short: "Show who can read which secret, and what is wrong with its file", Args: usage.NoArgs,
		Long: `list shows the secrets that the config repo declares, the machines and other keys
that can read each, and whether its file is encrypted to just these. That is seen
in the file without opening it, as far as the file tells: of age keys (age1…) it
tells how many there are, and not whose.`,
		Example: "  gitboot secret list\n  gitboot secret list --repo ~/fleet --json",
	}
	asJSON := c.Flags().Bool("json", false, "print JSON with stable fields")
	c.RunE = func(c *cobra.Command, _ []string) error {
		t, err := s.open(c)
		if err != nil {
			return err
		}
		defer t.Close()
		readers := ReadersOf(t.Secrets())
		switch {
		case *asJSON:
			return screen.JSON(c.OutOrStdout(), readers)
		case len(readers) == 0:
			_, err := fmt.Fprintln(c.OutOrStdout(), "the config repo declares no secrets")
			return err
		}
		return Tell(c.OutOrStdout(), readers)
	}
	return c
}
