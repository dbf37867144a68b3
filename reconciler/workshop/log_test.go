package workshop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/state"
)

// begin begins a log.
func (s *testShop) begin(t *testing.T, name, text string) io.WriteCloser {
	t.Helper()
	log, err := s.openLog(name)
	must(t, err)
	_, err = io.WriteString(log, text)
	must(t, err)
	return log
}

func (s *testShop) show(t *testing.T, name string) string {
	t.Helper()
	var out bytes.Buffer
	must(t, s.Show(t.Context(), name, false, &out))
	return out.String()
}

// Of all logs the last is shown, and the last ten are kept, of each image.
func TestLogs(t *testing.T) {
	s := newShop(t)
	must(t, s.begin(t, "kiosk", "of the kiosk").Close())
	for n := range logsKept + 3 {
		s.now = s.now.Add(time.Nanosecond)
		must(t, s.begin(t, "desktop", fmt.Sprint("build ", n)).Close())
	}
	if got := s.show(t, "desktop"); got != "build 12" {
		t.Errorf("shown is %q", got)
	}
	if got := s.show(t, "kiosk"); got != "of the kiosk" {
		t.Errorf("shown is %q", got)
	}
	logs, err := filepath.Glob(filepath.Join(s.Stage.Builds(), "desktop/*.log"))
	if err != nil || len(logs) != logsKept {
		t.Errorf("%d logs are kept: %v", len(logs), err)
	}
	oldest, err := os.ReadFile(logs[0])
	if err != nil || string(oldest) != "build 3" {
		t.Errorf("the oldest is %q: %v", oldest, err)
	}
	if info, err := os.Stat(logs[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// A log of a build that runs is followed until the build has ended.
func TestFollow(t *testing.T) {
	s := newShop(t)
	log := s.begin(t, "desktop", "one\n")
	r, w := io.Pipe()
	go func() { w.CloseWithError(s.Show(t.Context(), "desktop", true, w)) }()
	in := bufio.NewReader(r)
	for _, want := range []string{"one\n", "two\n"} {
		if got, err := in.ReadString('\n'); got != want || err != nil {
			t.Fatalf("%q %v", got, err)
		}
		_, err := io.WriteString(log, "two\n")
		must(t, err)
	}
	// Without being followed, it shows what is there.
	if got := s.show(t, "desktop"); got != "one\ntwo\ntwo\n" {
		t.Errorf("%q", got)
	}
	must(t, log.Close())
	if rest, err := io.ReadAll(in); string(rest) != "two\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
}

// Following ends when nobody wants it any more, whatever the build does.
func TestFollowIsGivenUp(t *testing.T) {
	s := newShop(t)
	log := s.begin(t, "desktop", "one\n")
	defer log.Close()
	ctx, end := context.WithCancel(t.Context())
	r, w := io.Pipe()
	shown := make(chan error)
	go func() { shown <- s.Show(ctx, "desktop", true, w) }()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	end()
	if err := <-shown; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// Where nobody reads any more it ends, too.
	r, w = io.Pipe()
	r.Close()
	if err := s.Show(t.Context(), "desktop", true, w); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// A name of no image says which there are, and leads nowhere else.
func TestNoLog(t *testing.T) {
	s := newShop(t)
	if err := s.Show(t.Context(), "desktop", false, io.Discard); err == nil || !strings.Contains(err.Error(), "`gitboot image build` builds what is declared") {
		t.Errorf("where nothing was built: %v", err)
	}
	must(t, s.begin(t, "desktop", "x").Close())
	must(t, s.begin(t, "kiosk", "x").Close())
	must(t, os.WriteFile(filepath.Join(s.Stage.Builds(), "other.log"), []byte("secret"), 0o600))
	for name, want := range map[string]string{
		"desktp":         "choose one of: desktop, kiosk",
		"d*":             "there can be no image",
		"[d]esktop":      "there can be no image",
		"..":             "there can be no image",
		".":              "there can be no image",
		"../desktop":     "there can be no image",
		"/etc":           "there can be no image",
		"desktop/":       "there can be no image",
		"":               "there can be no image",
		`desktop\`:       "there can be no image",
		"other.log":      "this machine has built no image",
		"desktop\x1b[2J": "there can be no image",
	} {
		var out bytes.Buffer
		err := s.Show(t.Context(), name, true, &out)
		if wrong := (*state.NameError)(nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") || out.Len() > 0 {
			t.Errorf("%q: %v, shown %q", name, err, out.String())
		}
	}
}
