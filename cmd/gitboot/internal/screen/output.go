package screen

import (
	"context"
	"io"
	"math"
	"os"

	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/plain"
)

// An Output is where results go, until its context ends. It knows whether there
// were any: with --json, an error is printed as JSON where nothing else was.
type Output struct {
	Used bool
	raw  io.Writer
	ends io.Writer
}

// NewOutput makes the Output of a command whose standard output is w.
func NewOutput(ctx context.Context, w io.Writer) *Output {
	return &Output{raw: w, ends: ctxio.Writer(ctx, w)}
}

func (o *Output) Write(p []byte) (int, error) {
	o.Used = o.Used || len(p) > 0
	return o.ends.Write(p)
}

// Terminal returns the terminal behind a writer, nil if there is none.
func Terminal(w io.Writer) *os.File {
	w = plain.Raw(w)
	if o, ok := w.(*Output); ok {
		w = o.raw
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// Columns returns how wide a line on a terminal may be; elsewhere lines are as
// long as they are.
func Columns(w io.Writer) int {
	f := Terminal(w)
	if f == nil {
		return math.MaxInt
	}
	if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 1 {
		return n - 1
	}
	return 79
}

// Document returns where is written what is kept as it is, byte for byte; a
// terminal gets it as text.
func Document(w io.Writer) io.Writer {
	if Terminal(w) != nil {
		return w
	}
	return plain.Raw(w)
}
