package console

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A terminal's two sides: who asks, and who sits there.
func terminal(t *testing.T) (machine, person *os.File) {
	t.Helper()
	person, machine, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close(); machine.Close() })
	again, err := os.OpenFile(machine.Name(), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	return again, person
}

// read reads until a text is there.
func read(t *testing.T, person *os.File, until string) string {
	t.Helper()
	r := bufio.NewReader(person)
	var seen strings.Builder
	for !strings.Contains(seen.String(), until) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("%q: %v", seen.String(), err)
		}
		seen.WriteByte(b)
	}
	return seen.String()
}

// Whoever types first on any of the terminals is heard, and what is typed is not
// shown; afterwards terminals are as they were.
func TestAsk(t *testing.T) {
	one, _ := terminal(t)
	two, person := terminal(t)
	shown := make(chan string, 1)
	go func() {
		seen := read(t, person, "Passphrase: ")
		if _, err := person.WriteString("correct horse\n"); err != nil {
			t.Error(err)
		}
		shown <- seen + read(t, person, "\n")
	}()
	name := two.Name()
	line, err := ask(t.Context(), "Passphrase: ", []*os.File{one, two})
	if err != nil || string(line) != "correct horse" {
		t.Errorf("%q, %v", line, err)
	}
	if seen := <-shown; strings.Contains(seen, "horse") {
		t.Errorf("it shows %q", seen)
	}
	again, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if mode, err := unix.IoctlGetTermios(int(again.Fd()), unix.TCGETS); err != nil || mode.Lflag&unix.ECHO == 0 {
		t.Errorf("%+v, %v", mode, err)
	}
}

// Where nobody types, asking ends with its context.
func TestAskEnds(t *testing.T) {
	machine, person := terminal(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	go func() {
		read(t, person, "PIN: ")
		cancel(gone)
	}()
	if line, err := ask(ctx, "PIN: ", []*os.File{machine}); !errors.Is(err, gone) {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := ask(t.Context(), "PIN: ", nil); err == nil {
		t.Error("there is no terminal, and no error")
	}
}
