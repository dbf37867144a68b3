package joining

import (
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// quiet has a terminal not show what is typed, until back is called.
func quiet(f *os.File, before *term.State) (back func(), err error) {
	fd := int(f.Fd())
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, err
	}
	t.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return nil, err
	}
	return func() { _ = term.Restore(fd, before) }, nil
}
