package virtual

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/gitboot/gitboot/internal/ctxio"
)

// terminal is the terminal that is read, nil if there is none.
func terminal(in io.Reader) *os.File {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return f
	}
	return nil
}

// attended gives a machine the terminal, as it is: each key goes there, and what it
// prints may move the cursor, as over ssh. It takes it back when do has ended.
func attended(ctx context.Context, in, out *os.File, do func(context.Context, io.Reader) error) error {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	ctx, unplug := context.WithCancelCause(ctx)
	defer unplug(nil)
	err = do(ctx, &plug{in: ctxio.Reader(ctx, in), pull: func() { unplug(errUnplugged) }, now: time.Now})
	_, werr := io.WriteString(out, "\x1b[0m\r\n")
	if errors.Is(err, errUnplugged) {
		err = nil
	}
	return errors.Join(err, werr, term.Restore(int(in.Fd()), before))
}

// errUnplugged ends a machine that somebody has had enough of.
var errUnplugged = errors.New("the plug was pulled")

// unplugKey is Ctrl-], which systemd-nspawn takes for the same.
const unplugKey = 0x1d

// A plug reads what is typed, and is pulled by its key three times within a second.
type plug struct {
	in      io.Reader
	pull    func()
	now     func() time.Time
	pressed []time.Time
}

func (p *plug) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	for range bytes.Count(b[:n], []byte{unplugKey}) {
		p.pressed = append(p.pressed, p.now())
		if last := len(p.pressed) - 3; last >= 0 && p.now().Sub(p.pressed[last]) <= time.Second {
			p.pull()
			return 0, io.EOF
		}
	}
	return n, err
}
