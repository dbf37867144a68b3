package screen

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

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
		t.Fatal(err)
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
		t.Fatal(err)
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
		end := bytes.IndexFunc(s.rest, unicode.IsLetter) // the final byte; colours are passed over
		if end < 0 {
			return 0
		}
		if n, _ := fmt.Sscanf(string(s.rest[:end+1]), "\x1b[%dA", &up); n == 1 && s.rest[end] == 'A' {
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
	late := time.After(30 * time.Second)
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

var update = flag.Bool("update", false, "write what is shown into testdata")

// golden compares what is shown with a file, as people should see it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got+"\n" != string(want) {
		t.Errorf("%s: %v; the terminal shows\n%s", name, err, got)
	}
}

// TestScreens keeps the looks, at the width of an old terminal and of a wide one.
func TestScreens(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	for _, columns := range []uint16{80, 160} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			tty, shown := openTerminal(t, columns)
			d := New(tty)
			log := d.Logger(tty, slog.LevelInfo, "text")
			sink := d.Progress()
			progress.Announce(sink, []progress.Layer{
				{ID: "a", Image: "desktop", N: 1, Of: 3, Bytes: 40e6}, {ID: "b", Image: "desktop", N: 2, Of: 3, Bytes: 80e6},
				{ID: "c", Image: "desktop", N: 3, Of: 3, Bytes: 5e6}, {ID: "d", Image: "router", N: 2, Of: 2, Bytes: 3e6}})
			layer := func(id string, bytes, done int64) (pull, squash *progress.Task) {
				squash = progress.StartLayer(sink, "squash sha256:"+id, id, 0)
				pull = progress.StartLayer(sink, "pull "+id, id, bytes)
				pull.Add(done)
				return pull, squash
			}
			pull, squash := layer("a", 40e6, 40e6)
			pull.End(nil)
			squash.End(nil)
			layer("b", 80e6, 10e6)
			pull, _ = layer("c", 5e6, 5e6)
			pull.End(nil)
			log.Warn("the disk is nearly full", "free", "1.0 GB")
			log.Info("waiting before the next attempt", "wait", 1500*time.Millisecond, "error", errors.New("get blob: 503: the registry is busy"))
			base := progress.StartBuild(sink, "base", "it was not built yet")
			base.Step(3, 7, "RUN apt-get update && apt-get install --yes --no-install-recommends linux-image-amd64 systemd-sysv udev kmod dbus openssh-server systemd-resolved iproute2 less nano")
			base.Line("Get:1 http://deb.example/debian bookworm InRelease [151 kB]")
			shown.until(t, "bookworm InRelease")
			shown.until(t, "busy")
			golden(t, fmt.Sprintf("screen%d.txt", columns), shown.text())
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			shown.end(t, tty)
			if got := shown.text(); got != "warning: the disk is nearly full (free 1.0 GB)\nthe end" {
				t.Errorf("in the end, the terminal shows\n%s", got)
			}
		})
	}
}

func TestBuildsOnATerminal(t *testing.T) {
	tty, shown := openTerminal(t, 40)
	d := New(tty)
	log := d.Logger(tty, slog.LevelInfo, "text")
	base := progress.StartBuild(d.Progress(), "base", "fragments/base.containerfile changed")
	shown.until(t, "base  0s  building: fragments/base.con…")
	base.Step(1, 3, "RUN apt-get update && apt-get install -y everything")
	base.Line("Get:1 \x1b[31mhttp://deb.example/debian bookworm InRelease [151 kB]\x1b]0;title\a")
	shown.until(t, "base  0s  step 1/3: RUN apt-get update…\n    Get:1 http://deb.example/debian bo…")
	other := progress.StartBuild(d.Progress(), "other", "it was not built yet")
	other.Step(1, 2, "RUN \x1b[2Jfalse")
	shown.until(t, "other  0s  step 1/2: RUN false")
	base.Step(2, 3, "RUN true")
	base.Cached()
	base.End(nil)
	log.Warn("a line \x1b[2Jof the log")
	other.End(errors.New("exit status 1"))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	shown.end(t, tty)
	if got := shown.text(); got != "warning: a line of the log\nthe end" {
		t.Errorf("in the end, the terminal shows\n%s", got)
	}
	shown.mu.Lock()
	defer shown.mu.Unlock()
	for _, hostile := range []string{"\x1b[31mhttp", "title", "\x1b[2J"} {
		if bytes.Contains(shown.raw, []byte(hostile)) {
			t.Errorf("%q reaches the terminal", hostile)
		}
	}
}

// Many builds at once, whatever they print, leave nothing behind.
func TestManyBuildsOnATerminal(t *testing.T) {
	tty, shown := openTerminal(t, 60)
	d := New(tty)
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			task := progress.StartBuild(d.Progress(), fmt.Sprintf("image%d", i), "it was not built yet")
			for step := range 40 {
				task.Step(step+1, 40, "RUN "+strings.Repeat("日本 ", 30))
				task.Line(strings.Repeat("x\r\n\x1b[A", 20))
			}
			task.End(nil)
		})
	}
	group.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	shown.end(t, tty)
	if shown.text() != "the end" {
		t.Errorf("is left:\n%s", shown.text())
	}
}

// Elsewhere the same is told as records, and as JSON for machines.
func TestRecords(t *testing.T) {
	var out bytes.Buffer
	d := New(&out)
	d.Logger(&out, slog.LevelInfo, "json")
	progress.Announce(d.Progress(), []progress.Layer{{ID: "b", Image: "desktop", N: 2, Of: 3, Bytes: 5e6}})
	squash := progress.StartLayer(d.Progress(), "squash sha256:b", "b", 0)
	pull := progress.StartLayer(d.Progress(), "pull b", "b", 5e6)
	pull.Add(5e6)
	pull.End(nil)
	squash.Add(9e6)
	squash.End(nil)
	task := progress.StartBuild(d.Progress(), "base", "it was not built yet")
	task.Step(1, 2, "RUN echo \x1b[31mred")
	task.Line("red")
	task.Step(2, 2, "RUN true")
	task.Cached()
	task.End(nil)
	var got []string
	for line := range strings.Lines(out.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(record["msg"], " ", record["image"], " ", record["layer"], " ", record["at"]))
	}
	want := []string{"pull done desktop 2 of 3 <nil>", "building base <nil> <nil>", "build goes on base <nil> step 1/2: RUN echo red",
		"build goes on base <nil> step 2/2: RUN true", "built base <nil> <nil>"}
	if !slices.Equal(got, want) || d.Close() != nil {
		t.Errorf("%q, not %q", got, want)
	}
}
