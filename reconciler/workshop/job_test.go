package workshop

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/build/engine/buildkit"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

// One workshop has one writer: others fail, or wait if they are to.
func TestBegin(t *testing.T) {
	s := newShop(t)
	w := wants(t, family)
	first := s.look(t, w, Request{})
	must(t, first.Begin(t.Context()))
	second := s.look(t, w, Request{})
	if err := second.Begin(t.Context()); !errors.Is(err, stage.ErrLocked) {
		t.Errorf("begun beside another: %v", err)
	}
	must(t, second.End()) // of a job that was never begun
	if err := second.Publish(t.Context()); err != nil {
		t.Errorf("a job that was never begun publishes: %v", err)
	}
	waiting := s.look(t, w, Request{Wait: true})
	tired, end := context.WithCancel(t.Context())
	end()
	if err := waiting.Begin(tired); !errors.Is(err, context.Canceled) || !strings.Contains(s.log.String(), "another run builds; waiting until it ends") {
		t.Errorf("a wait that was given up: %v\n%s", err, s.log)
	}
	begun := make(chan error)
	go func() { begun <- waiting.Begin(t.Context()) }()
	must(t, first.End())
	if err := errors.Join(<-begun, waiting.End(), waiting.End()); err != nil {
		t.Error(err)
	}
}

// Who waited for the lock decides by what the other has made.
func TestBeginLooksAgain(t *testing.T) {
	s := newShop(t)
	w := wants(t, family)
	same := s.look(t, w, Request{})
	builds := same.builds
	must(t, same.Begin(t.Context()))
	if same.builds[0] != builds[0] {
		t.Error("it looks again, and nothing has changed")
	}
	must(t, same.End())
	for what, req := range map[string]Request{"": {}, "kiosk": {Names: []string{"kiosk"}}} {
		s := newShop(t)
		j := s.look(t, w, req)
		s.giveAll(t, w)
		if planned(j) == "" {
			t.Fatal("nothing is planned")
		}
		must(t, j.Begin(t.Context()))
		if got := planned(j); got != "" || what != "" && len(j.builds) != 1 {
			t.Errorf("of %q it still builds %q", what, got)
		}
		// Were the builds of the other forgotten, all would be built again.
		must(t, errors.Join(j.Make(t.Context()), j.End()))
		if n := len(s.doc(t).Builds); n != 3 {
			t.Errorf("%d builds are known", n)
		}
	}
}

// A document that was damaged meanwhile gives the lock back.
func TestBeginFails(t *testing.T) {
	s := newShop(t)
	j := s.look(t, wants(t, family), Request{})
	must(t, os.WriteFile(s.Stage.Workshop().StateFile(), []byte("{"), 0o600))
	if err := j.Begin(t.Context()); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Error(err)
	}
	lock, err := s.Stage.LockWorkshop(t.Context(), false)
	if err != nil {
		t.Fatalf("the lock is kept: %v", err)
	}
	must(t, lock.Release())
}

// Builds of which nobody wants to know any more are forgotten, but not by whoever
// was asked for others.
func TestNote(t *testing.T) {
	less := strings.Replace(family, `["desktop", "kiosk"]`, `["kiosk"]`, 1)
	for what, c := range map[string]struct {
		req     Request
		known   int
		settled bool
	}{
		"all":    {Request{}, 1, false},
		"chosen": {Request{Names: []string{"kiosk"}}, 3, true},
	} {
		s := newShop(t)
		s.giveAll(t, wants(t, family))
		j := s.look(t, wants(t, less), c.req)
		if j.Settled() != c.settled {
			t.Errorf("%s: settled is %t", what, j.Settled())
		}
		s.make(t, wants(t, less), c.req)
		if got := s.doc(t).Builds; len(got) != c.known || got["kiosk"].ID == "" {
			t.Errorf("%s: %d builds are known", what, len(got))
		}
	}
}

// A failure of the run before is forgotten by one that comes to its end.
func TestTheFailureBefore(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	s.giveAll(t, w)
	doc := s.doc(t)
	doc.Failure = &state.Failure{Message: "the disk was full", Since: s.now}
	must(t, doc.Save(s.Stage.Dir()))
	if s.look(t, w, Request{}).Settled() {
		t.Error("it is left as it is")
	}
	s.make(t, w, Request{})
	if f := s.doc(t).Failure; f != nil {
		t.Errorf("%+v", f)
	}
	if !s.look(t, w, Request{}).Settled() {
		t.Error("there is still something to do")
	}
}

// A job that cannot come to its end says why in the document, once, and leaves
// nothing to be published; one that was ended says nothing.
func TestMakeFails(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	must(t, os.WriteFile(s.Stage.Workshop().Temp(), nil, 0o600)) // where a folder has to be
	fail := func() *Job {
		t.Helper()
		j := s.look(t, w, Request{})
		must(t, j.Begin(t.Context()))
		if err := j.Make(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "clean: ") {
			t.Errorf("%v", err)
		}
		must(t, errors.Join(j.Publish(t.Context()), j.End()))
		return j
	}
	fail()
	first := s.doc(t).Failure
	if first == nil || !strings.HasPrefix(first.Message, "clean: ") || first.Revision != w.Revision.Hash {
		t.Fatalf("%+v", first)
	}
	before := s.written(t)
	s.now = s.now.Add(time.Hour)
	fail()
	if !os.SameFile(before, s.written(t)) {
		t.Errorf("what stands is written anew: %+v", s.doc(t).Failure)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	must(t, os.Remove(s.Stage.Workshop().Temp()))
	j := s.look(t, w, Request{})
	must(t, j.Begin(t.Context()))
	if err := j.Make(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, j.End())
	if f := s.doc(t).Failure; f == nil || f.Message != first.Message {
		t.Errorf("who ended it is the failure: %+v", f)
	}
}

// A cut build leaves files in the workshop's temporary folder. They go, and
// nothing that links there lead to.
func TestClean(t *testing.T) {
	s := newShop(t)
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, errors.Join(os.MkdirAll(outside, 0o755), os.WriteFile(filepath.Join(outside, "mine"), nil, 0o644)))
	temp := s.Stage.Workshop().Temp()
	must(t, errors.Join(
		os.MkdirAll(filepath.Join(temp, "build-1/context/deep"), 0o700),
		os.WriteFile(filepath.Join(temp, "build-1/context/deep/file"), nil, 0o000),
		os.Symlink(outside, filepath.Join(temp, "link")),
		os.Symlink(filepath.Join(outside, "mine"), filepath.Join(temp, "build-1/link")),
		os.Symlink("../state.json", filepath.Join(temp, "up")),
		unix.Mkfifo(filepath.Join(temp, "pipe"), 0o600)))
	w := wants(t, family)
	s.giveAll(t, w)
	s.make(t, w, Request{})
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(outside, "mine")); err != nil {
		t.Error(err)
	}
	if n := len(s.doc(t).Builds); n != 3 {
		t.Errorf("the document went with a link: %d builds", n)
	}
	must(t, os.Remove(temp))
	s.make(t, w, Request{})
	if info, err := os.Stat(temp); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info, err)
	}
}

// An engine that does not work fails its images, and those on them with them.
func TestAnEngineDoesNotWork(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	j := s.make(t, w, Request{Trigger: "test"})
	failed := j.Failed()
	for _, name := range []string{"base", "kiosk"} {
		if err := failed[name]; !errors.As(err, new(*buildkit.UnreachableError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (*ParentError)(nil); !errors.As(failed["desktop"], &err) || err.Parent != "base" || len(failed) != 3 {
		t.Errorf("%v", failed)
	}
	for name, f := range s.doc(t).Builds {
		if f.Failure == nil || f.Failure.Message != failed[name].Error() || f.ID != "" || name != "desktop" && f.Failure.Attempts != 1 {
			t.Errorf("%s: %+v", name, f.Failure)
		}
	}
	if _, err := os.Stat(s.Stage.Builds()); err == nil {
		t.Error("what was never begun has a log")
	}
	// The record has what was tried.
	runs := s.runs(t)
	if len(runs) != 1 || runs[0].Part != "workshop" || runs[0].Trigger != "test" || len(runs[0].Steps) != 2 || len(runs[0].Failed) != 3 || runs[0].Revision != w.Revision.Hash {
		t.Fatalf("%+v", runs)
	}
	for _, step := range runs[0].Steps {
		if step.Kind != plan.BuildImage || step.Reason != "it was not built yet" || step.Image == "desktop" {
			t.Errorf("%+v", step)
		}
	}
	builds, pushes, unpublished := j.Made()
	if len(builds)+len(pushes)+len(unpublished) > 0 {
		t.Errorf("made %v %v %v", builds, pushes, unpublished)
	}
	for _, r := range j.Results() {
		if r.Built || r.Pushed || r.Err == nil || r.Digest != "" {
			t.Errorf("%+v", r)
		}
	}
}

// What failed is left alone by the patient for longer and longer, and by nobody
// else; what a base is missing is its base's failure alone.
func TestBackoff(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	tries, patient := 0, Request{Patient: true}
	try := func(what string, req Request, after time.Duration, want bool) {
		t.Helper()
		s.now = s.now.Add(after)
		before, runs := s.written(t), len(s.runs(t))
		j := s.make(t, w, req)
		if want {
			tries++
		}
		f := s.doc(t).Builds["kiosk"].Failure
		if f.Attempts != tries || f.Next.Sub(s.now) > plan.Pause(tries, w.Wants.Machine+"/kiosk") || len(j.Failed()) != 3 {
			t.Errorf("%s: after %d tries the document has %+v: %v", what, tries, f, j.Failed())
		}
		if waits := errors.As(j.Failed()["kiosk"], new(*state.RestingError)); waits == want {
			t.Errorf("%s: waits is %t", what, waits)
		}
		if !want && (!os.SameFile(before, s.written(t)) || len(s.runs(t)) != runs || !s.look(t, w, req).Settled()) {
			t.Errorf("%s: whoever waits writes", what)
		}
	}
	try("at first", patient, 0, true)
	since := s.doc(t).Builds["kiosk"].Failure.Since
	try("at the next poll", patient, 30*time.Second, false)
	try("after a minute", patient, 30*time.Second, true)
	try("a minute later", patient, time.Minute, false)
	try("after two", patient, time.Minute, true)
	try("by hand", Request{}, time.Second, true)
	try("by name", Request{Names: []string{"kiosk", "desktop"}}, time.Second, true)
	try("after ten minutes", patient, 10*time.Minute, false)
	try("after a quarter of an hour", patient, 5*time.Minute, true)
	if f := s.doc(t).Builds["kiosk"].Failure; !f.Since.Equal(since) {
		t.Errorf("it stands since %s, not %s", f.Since, since)
	}
	// Made from something else, it is tried at once, and counted anew.
	w, tries = wants(t, strings.Replace(family, "echo kiosk", "echo other", 1)), 0
	try("another step", patient, time.Second, true)
	if got := planned(s.look(t, w, Request{})); !strings.Contains(got, "kiosk: it was not built yet, it has failed once") {
		t.Errorf("%q", got)
	}
}

// A stage that is mounted read-only is looked at, and writable under the lock:
// what was only in the way of the look is then found.
func TestStuck(t *testing.T) {
	point := filepath.Join(t.TempDir(), "mnt")
	need.Filesystem(t, point, 32<<20, "noatime", "mkfs.ext4", "-q")
	s := newShopAt(t, filepath.Join(point, "stage"))
	s.Find.Options.CacheDir = s.Stage.Workshop().Downloads()
	url, sum := serve(t, tarOf(t, map[string]string{"etc/": ""}))
	config := strings.ReplaceAll(family, "archive:root.tar\"", "archive:"+url+"\"\nsha256 = \""+sum+"\"")
	must(t, unix.Mount("", point, "", unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOATIME, ""))
	j := s.look(t, wants(t, config), Request{})
	if !j.Stuck() || names(j.Failed()) != "base desktop kiosk" || j.Settled() {
		t.Fatalf("failed %v", j.Failed())
	}
	must(t, j.Begin(t.Context()))
	if j.Stuck() || len(j.Failed()) > 0 || !j.Builds("kiosk") {
		t.Errorf("failed under the lock: %v", j.Failed())
	}
	must(t, j.End())
	if err := os.WriteFile(filepath.Join(point, "x"), nil, 0o600); !errors.Is(err, unix.EROFS) {
		t.Errorf("the stage stays writable: %v", err)
	}
}

// An older gitboot kept builds in the machine's document: nothing is built again,
// and the first job that writes takes them over.
func TestBuildsOfAnOlderGitboot(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	s.giveAll(t, w)
	made, err := os.ReadFile(s.Stage.Workshop().StateFile())
	must(t, err)
	must(t, errors.Join(os.WriteFile(s.Stage.StateFile(), made, 0o600), os.Remove(s.Stage.Workshop().StateFile())))
	was := s.doc(t)
	j := s.look(t, w, Request{})
	if planned(j) != "" || !j.Settled() {
		t.Errorf("planned %q", planned(j))
	}
	less := strings.Replace(family, `["desktop", "kiosk"]`, `["desktop"]`, 1)
	s.make(t, wants(t, less), Request{})
	is := s.doc(t)
	if s.written(t) == nil || len(is.Builds) != 2 || is.Builds["desktop"].ID != was.Builds["desktop"].ID {
		t.Errorf("%d builds are known", len(is.Builds))
	}
}
