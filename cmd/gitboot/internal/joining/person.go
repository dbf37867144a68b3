package joining

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// maxAnswer is how long an answer may be: a token is the longest.
const maxAnswer = 4096

// A person answers questions on standard input.
type person struct {
	in    *bufio.Reader
	asker io.Reader
	out   io.Writer
}

func newPerson(c *cobra.Command) *person {
	from := ctxio.Detached(c.Context(), func() (io.ReadCloser, error) { return io.NopCloser(c.InOrStdin()), nil })
	return &person{in: bufio.NewReaderSize(from, maxAnswer), asker: c.InOrStdin(), out: c.ErrOrStderr()}
}

func (p *person) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// ask returns a line, without its end. That nobody answers is an error.
func (p *person) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(p.out, question, " ")
	line, err := p.in.ReadSlice('\n')
	answer := strings.TrimSpace(string(line))
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("that answer is longer than %d bytes", maxAnswer)
	case err != nil && answer == "":
		fmt.Fprintln(p.out)
		return "", fmt.Errorf("nobody answers %q; run it again on a terminal, or with answers as standard input", strings.TrimSpace(question))
	}
	return answer, nil
}

// enter waits until somebody has done something.
func (p *person) enter(ctx context.Context, what string) error {
	_, err := p.ask(ctx, what)
	return err
}

// agreed asks a question that is answered by yes or no.
func (p *person) agreed(ctx context.Context, question string) (bool, error) {
	for {
		answer, err := p.ask(ctx, question+" [yes/no]")
		switch strings.ToLower(answer) {
		case "yes", "y":
			return true, err
		case "no", "n":
			return false, err
		}
		if err != nil {
			return false, err
		}
	}
}

// secret asks for what is not shown while it is typed.
func (p *person) secret(ctx context.Context, question string) (string, error) {
	f, ok := p.asker.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return p.ask(ctx, question)
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", err
	}
	silent, err := quiet(f, before)
	if err != nil {
		return "", err
	}
	defer silent()
	defer fmt.Fprintln(p.out)
	return p.ask(ctx, question)
}
