package reconciler

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
)

const beside = `
[image.desktop.build]
from = "archive:root.tar"
run = ["echo one > /etc/which"]
rootfs_fixes = false

[image.plain]
archive = "root.tar"

[machine.laptop]
images = ["desktop", "plain"]
`

// An image is ready while a run of the machine goes on, which was asked for by
// somebody else and stages another image: the run that takes it says that the
// workshop asked for it.
func TestARunSaysWhatAskedForIt(t *testing.T) {
	s := newSite(t, beside)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	asks, ended := make(chan Ask), make(chan struct{})
	goesOn, built := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var staged []string
	tell := func(e event.Event) {
		switch {
		case e.Kind == event.Began && e.Part == event.Workshop:
			<-goesOn
		case e.Kind == event.Began:
			once.Do(func() { close(goesOn) })
			<-built
		case e.Kind == event.Built:
			close(built)
		case e.Kind == event.Staged:
			staged = append(staged, e.Image+" "+e.Trigger)
		}
	}
	go func() {
		defer close(ended)
		s.Follow(ctx, asks, Watch{Tell: tell})
	}()
	done := make(chan error, 1)
	asks <- Ask{Trigger: "test", Done: func(err error) { done <- err }}
	if err := <-done; err != nil {
		t.Error(err)
	}
	stop()
	<-ended
	if want := []string{"plain test", "desktop workshop"}; !slices.Equal(staged, want) {
		t.Errorf("staged are %q", staged)
	}
	runs, err := state.Runs(s.Machine.Stage.Dir())
	if !slices.ContainsFunc(runs, func(r state.Run) bool { return r.Part == event.Machine && r.Trigger == "workshop" }) {
		t.Errorf("the records are %+v: %v", runs, err)
	}
}

const watched = `
[image.desktop]
insecure = true
[image.desktop.build]
from = "archive:ARCHIVE"
run = ["echo one > /etc/which"]
rootfs_fixes = false
push = "REF"

[image.plain]
archive = "ARCHIVE"

[machine.laptop]
images = ["plain"]
builds = BUILDS
`

// Who asks while a part is at work may know of something that it has looked for
// already: it gets one more run of that part. What it looked for has changed when it
// comes to its last action.
func TestAskedMeanwhile(t *testing.T) {
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer registry.Close()
	for part, c := range map[string]struct {
		builds string
		last   plan.Kind
		made   event.Kind
	}{
		event.Machine:  {"[]", plan.WriteMenu, event.Staged},
		event.Workshop: {`["desktop"]`, plan.PushImage, event.Built},
	} {
		t.Run(part, func(t *testing.T) {
			archive := filepath.Join(t.TempDir(), "root.tar")
			s := newSite(t, strings.NewReplacer("ARCHIVE", archive, "REF", registry.Addr+"/desktop:new", "BUILDS", c.builds).Replace(watched))
			s.makeArchive(t, archive)
			s.Machine.Now, s.Shop.Now = time.Now, time.Now
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			asks, ended := make(chan Ask), make(chan struct{})
			goesOn, looked := make(chan struct{}), make(chan struct{})
			var once sync.Once
			var made int
			tell := func(e event.Event) {
				switch {
				case e.Kind == event.Stepped && e.Step.Kind == c.last:
					once.Do(func() { close(goesOn) })
					<-looked
				case e.Kind == event.Looked && e.Trigger == "change":
					close(looked)
				case e.Kind == c.made:
					made++
				}
			}
			go func() {
				defer close(ended)
				s.Follow(ctx, asks, Watch{Tell: tell})
			}()
			done := make(chan error, 2)
			tellMe := func(err error) { done <- err }
			asks <- Ask{Trigger: "test", Done: tellMe}
			select {
			case <-goesOn:
			case err := <-done:
				t.Fatal(err)
			}
			s.makeArchive(t, archive, "gitboot.toml")
			asks <- Ask{Trigger: "change", Update: true, Done: tellMe}
			if err := errors.Join(<-done, <-done); err != nil {
				t.Error(err)
			}
			stop()
			<-ended
			if made != 2 {
				t.Errorf("it was made %d times", made)
			}
		})
	}
}

// makeArchive makes another one of the site's, with files of its repo added.
func (s *site) makeArchive(t *testing.T, path string, more ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.repo.Dir, "root.tar"))
	if err != nil {
		t.Fatal(err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if len(more) > 0 {
		if _, err := lab.Run(t.Context(), "tar", append([]string{"--append", "--file", next, "--directory", s.repo.Dir}, more...)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}
