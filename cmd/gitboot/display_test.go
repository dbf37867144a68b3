package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/progress"
)

// A screen is what a terminal shows of what is written to it: as much of one
// as the display uses.
type screen struct {
	changed chan struct{}

	mu    sync.Mutex
	lines []string
	row   int
	raw   []byte
	rest  []byte
}

// openTerminal gives a terminal's file and the screen behind it.
func openTerminal(t *testing.T, columns uint16) (*os.File, *screen) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs a pseudo terminal:", err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0),
		unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns})); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("needs a pseudo terminal:", err)
	}
	t.Cleanup(func() { tty.Close() })
	s := &screen{changed: make(chan struct{}, 1), lines: []string{""}}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.feed(buf[:n])
		}
	}()
	return tty, s
}

func (s *screen) feed(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw, s.rest = append(s.raw, p...), append(s.rest, p...)
	for len(s.rest) > 0 {
		n := s.next()
		if n == 0 {
			break
		}
		s.rest = s.rest[n:]
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// next takes one character or sequence and returns its length, 0 if it is not
// complete.
func (s *screen) next() int {
	switch c := s.rest[0]; {
	case c == '\n':
		if s.row++; s.row == len(s.lines) {
			s.lines = append(s.lines, "")
		}
	case c == '\r':
	case c == 0x1b:
		var up int
		end := bytes.IndexAny(s.rest, "AJ")
		if end < 0 {
			return 0
		}
		if n, _ := fmt.Sscanf(string(s.rest[:end+1]), "\x1b[%dA", &up); n == 1 {
			s.row -= up
		} else if string(s.rest[:end+1]) == "\x1b[J" {
			s.lines = append(s.lines[:s.row], "")
		}
		return end + 1
	default:
		s.lines[s.row] += string([]byte{c})
	}
	return 1
}

var seconds = regexp.MustCompile(`\b[0-9.]+m?s\b`)

// text is what is shown, but for how long it took.
func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return seconds.ReplaceAllString(strings.TrimRight(strings.Join(s.lines, "\n"), "\n"), "0s")
}

// until waits for a text to be shown.
func (s *screen) until(t *testing.T, want string) {
	t.Helper()
	late := time.After(10 * time.Second)
	for !strings.Contains(s.text(), want) {
		select {
		case <-s.changed:
		case <-late:
			t.Fatalf("the terminal does not come to show %q, but\n%s", want, s.text())
		}
	}
}

// end waits until all is shown.
func (s *screen) end(t *testing.T, tty *os.File) {
	t.Helper()
	fmt.Fprintln(tty, "the end")
	s.until(t, "the end")
}

func TestBuildsOnATerminal(t *testing.T) {
	tty, shown := openTerminal(t, 40)
	d := newDisplay(tty)
	base := progress.StartBuild(d.progress(), "base", "fragments/base.containerfile changed")
	shown.until(t, "base  0s  building: fragments/base.cont…")
	base.Step(1, 3, "RUN apt-get update && apt-get install -y everything")
	base.Line("Get:1 \x1b[31mhttp://deb.example/debian bookworm InRelease [151 kB]\x1b]0;title\a")
	shown.until(t, "base  0s  step 1/3: RUN apt-get update …\n    Get:1 http://deb.example/debian boo…")
	other := progress.StartBuild(d.progress(), "other", "it was not built yet")
	other.Step(1, 2, "RUN \x1b[2Jfalse")
	shown.until(t, "other  0s  step 1/2: RUN false")
	base.Step(2, 3, "RUN true")
	base.Cached()
	base.End(nil)
	shown.until(t, "built base in ")
	other.End(errors.New("exit status 1"))
	fmt.Fprintln(d.log(tty), "a line of the log")
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	shown.end(t, tty)
	want := []string{"built base in 0s, 3 steps, 1 from cache", "other: failed after 0s at step 1/2: RUN false", "a line of the log", "the end"}
	if got := shown.text(); got != strings.Join(want, "\n") {
		t.Errorf("in the end, the terminal shows\n%s", got)
	}
	shown.mu.Lock()
	defer shown.mu.Unlock()
	for _, hostile := range []string{"\x1b[31m", "title", "\x1b[2J"} {
		if bytes.Contains(shown.raw, []byte(hostile)) {
			t.Errorf("%q reaches the terminal", hostile)
		}
	}
}

// Many builds at once, whatever they print, leave one line each.
func TestManyBuildsOnATerminal(t *testing.T) {
	tty, shown := openTerminal(t, 60)
	d := newDisplay(tty)
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			task := progress.StartBuild(d.progress(), fmt.Sprintf("image%d", i), "it was not built yet")
			for step := range 40 {
				task.Step(step+1, 40, "RUN "+strings.Repeat("日本 ", 30))
				task.Line(strings.Repeat("x\r\n\x1b[A", 20))
			}
			task.End(nil)
		})
	}
	group.Wait()
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	shown.end(t, tty)
	if n := strings.Count(shown.text(), "\n"); n != 6 || strings.Count(shown.text(), "built image") != 6 {
		t.Errorf("%d lines are left:\n%s", n, shown.text())
	}
}

func TestBuildsElsewhere(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out)
	task := progress.StartBuild(d.progress(), "base", "it was not built yet")
	task.Step(0, 0, "fetch the base")
	task.Step(1, 2, "RUN echo \x1b[31mred")
	task.Line("red")
	task.Step(2, 2, "RUN true")
	task.Cached()
	task.End(nil)
	want := "base: building: it was not built yet\nbase: fetch the base\nbase: step 1/2: RUN echo red\nbase: step 2/2: RUN true\nbuilt base in 0s, 2 steps, 1 from cache\n"
	if out.String() != want || d.close() != nil {
		t.Errorf("%q, not %q", out.String(), want)
	}
}
