package reconciler

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/reconciler/event"
	"github.com/gitboot/gitboot/reconciler/state"
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
