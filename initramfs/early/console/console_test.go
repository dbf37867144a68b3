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

// terminals are one's two sides: who asks, and who sits there.
func terminals(t *testing.T) (machine, person *os.File) {
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

// serial is asked where no keyboards type.
func serial(question string) inquiry {
	return inquiry{question: question, screen: func(string) bool { return false }}
}

// Whoever types first on any of the terminals is heard, and what is typed is not
// shown; afterwards terminals are as they were.
func TestAsk(t *testing.T) {
	one, _ := terminals(t)
	two, person := terminals(t)
	shown := make(chan string, 1)
	go func() {
		seen := read(t, person, "Passphrase: ")
		if _, err := person.WriteString("correct horse\n"); err != nil {
			t.Error(err)
		}
		shown <- seen + read(t, person, "\n")
	}()
	name := two.Name()
	line, err := serial("Passphrase: ").ask(t.Context(), []*os.File{one, two})
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
	machine, person := terminals(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	go func() {
		read(t, person, "PIN: ")
		cancel(gone)
	}()
	if line, err := serial("PIN: ").ask(ctx, []*os.File{machine}); !errors.Is(err, gone) {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := serial("PIN: ").ask(t.Context(), nil); err == nil {
		t.Error("there is no terminal, and no error")
	}
}

// A terminal that takes no output, as a serial port with nothing at its other end, keeps
// nobody from answering on another one.
func TestAskBlocked(t *testing.T) {
	blocked, _ := terminals(t)
	two, person := terminals(t)
	held, err := os.OpenFile(blocked.Name(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := unix.IoctlSetInt(int(held.Fd()), unix.TCXONC, unix.TCOOFF); err != nil {
		t.Fatal(err)
	}
	go func() {
		read(t, person, "Passphrase: ")
		if _, err := person.WriteString("correct horse\n"); err != nil {
			t.Error(err)
		}
	}()
	line, err := serial("Passphrase: ").ask(t.Context(), []*os.File{blocked, two})
	if err != nil || string(line) != "correct horse" {
		t.Errorf("%q, %v", line, err)
	}
}
