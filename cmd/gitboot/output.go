package main

import (
	"errors"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/plain"
)

// An output is where results go. It knows whether there were any: with --json,
// an error is printed as JSON where nothing else was.
type output struct {
	io.Writer
	used bool
}

func (o *output) Write(p []byte) (int, error) {
	o.used = o.used || len(p) > 0
	return o.Writer.Write(p)
}

// terminal returns the terminal behind a writer, nil if there is none.
func terminal(w io.Writer) *os.File {
	w = plain.Raw(w)
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// columns returns how wide a line on a terminal may be; elsewhere lines are as
// long as they are.
func columns(w io.Writer) int {
	f := terminal(w)
	if f == nil {
		return math.MaxInt
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 1 {
		return n - 1
	}
	return 79
}

// document returns where a command writes what is kept as it is, byte for
// byte; a terminal gets it as text.
func document(c *cobra.Command) io.Writer {
	if out := c.OutOrStdout(); terminal(out) != nil {
		return out
	}
	return plain.Raw(c.OutOrStdout())
}

// binaryTo refuses to write what no terminal can show to one.
func binaryTo(w io.Writer) error {
	if terminal(w) == nil {
		return nil
	}
	return usageError{errors.New("this is a binary file, and standard output a terminal; name a file with -o, or pipe it into another program")}
}
