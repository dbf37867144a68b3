package reconciler

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/event"
)

const archived = `
[image.desktop]
archive = "root.tar"
kernel_args = ["a=1"]

[machine.laptop]
images = ["desktop"]
`

// followed has the config repo followed until it was looked at once, and returns
// what was told of reboots.
func followed(t *testing.T, s *site) (told []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asks, ended := make(chan Ask), make(chan struct{})
	go func() {
		defer close(ended)
		s.Follow(ctx, asks, Watch{Tell: func(e event.Event) {
			if e.Kind == event.Booted || e.Kind == event.RebootNeeded {
				told = append(told, e.Message())
			}
		}})
	}()
	done := make(chan error, 1)
	asks <- Ask{Trigger: "test", Done: func(err error) { done <- err }}
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	<-ended
	return told
}

// That a reboot is needed is told once, whichever agent runs, and shown to others
// until the system that needs it has ended.
func TestRebootIsToldOnce(t *testing.T) {
	s := newSite(t, archived)
	run := t.TempDir()
	s.notices = run
	if told := followed(t, s); len(told) > 0 {
		t.Errorf("a system that gitboot did not boot is told %q", told)
	}
	expect := func(what string, shown bool, want ...string) {
		t.Helper()
		if got := followed(t, s); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: told is %q", what, got)
		}
		text, err := os.ReadFile(filepath.Join(run, "reboot-required"))
		if (err == nil) != shown {
			t.Errorf("%s: %q, %v", what, text, err)
		}
		status, err := s.Status(t.Context())
		if err != nil || status.Reboot.Needed != shown {
			t.Errorf("%s: %+v, %v", what, status.Reboot, err)
		}
	}
	newest := func() string { return s.state(t).Images["desktop"].Newest().Deployment }
	s.Machine.Book.Booted = newest()
	expect("it runs", false, "desktop, generation 1, is running: this system was booted")
	expect("and goes on running", false)
	s.commit(t, strings.Replace(archived, "a=1", "a=2", 1))
	if got := followed(t, s); len(got) != 1 || !strings.HasPrefix(got[0], "a reboot is needed: desktop, generation 2 (revision ") || !strings.HasSuffix(got[0], "), boots next; generation 1 is running") {
		t.Errorf("told is %q", got)
	}
	expect("the agent is started again", true)
	// One run by hand shows it as well, and takes nothing from what is told.
	s.commit(t, strings.Replace(archived, "a=1", "a=3", 1))
	if _, err := s.Run(t.Context(), Request{}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(run, "motd.d/gitboot")); err != nil || !strings.Contains(string(text), "desktop, generation 3 (") {
		t.Errorf("%q %v", text, err)
	}
	if got := followed(t, s); len(got) != 1 || !strings.Contains(got[0], "generation 3 (") {
		t.Errorf("told is %q", got)
	}
	// The other system's /run is empty.
	s.notices, s.Machine.Book.Booted = t.TempDir(), newest()
	run = s.notices
	expect("it is rebooted", false, "desktop, generation 3, is running: this system was booted")
}
