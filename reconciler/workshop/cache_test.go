package workshop

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/build/engine"
)

// there reports whether the engine's store holds an image.
func (s *testShop) there(t *testing.T, img engine.Image) bool {
	t.Helper()
	e, err := s.Engine("")
	must(t, err)
	_, err = e.Image(t.Context(), img.ID)
	if err != nil && !errors.Is(err, engine.ErrGone) {
		t.Fatal(err)
	}
	return err == nil
}

func big(name string) map[string]string {
	return map[string]string{"etc/name": name, "big": strings.Repeat(name, 20_000)}
}

// What nothing needs goes beyond the bound; what was built and what that was
// built on stays. While something is built nothing is touched.
func TestCollectCaches(t *testing.T) {
	s, w := newShop(t), wants(t, family)
	s.giveAll(t, w)
	base, old := s.hold(t, big("base")), s.hold(t, big("old"))
	doc := s.doc(t)
	doc.Builds["kiosk"].BaseID = base.ID
	must(t, doc.Save(s.Stage.Dir()))

	j := s.look(t, w, Request{})
	must(t, j.Begin(t.Context()))
	s.CacheSize = 1
	if freed, err := s.CollectCaches(t.Context()); freed != 0 || err != nil || !s.there(t, old) || !strings.Contains(s.log.String(), "left alone while something is built") {
		t.Errorf("beside a build: %d %v\n%s", freed, err, s.log)
	}
	must(t, j.End())
	s.CacheSize = 0
	if freed, err := s.CollectCaches(t.Context()); freed != 0 || err != nil || !s.there(t, old) {
		t.Errorf("below the bound: %d %v", freed, err)
	}
	s.CacheSize = 1
	if freed, err := s.CollectCaches(t.Context()); freed < 40_000 || err != nil || s.there(t, old) || !s.there(t, base) {
		t.Errorf("beyond the bound: %d %v", freed, err)
	}
	if got := planned(s.look(t, w, Request{})); got != "" {
		t.Errorf("what was built is gone: %q", got)
	}
	if again, err := s.Stage.LockWorkshop(t.Context(), false); err != nil {
		t.Errorf("the lock is kept: %v", err)
	} else {
		must(t, again.Release())
	}
}

// What cannot be known is not collected.
func TestCollectCachesFails(t *testing.T) {
	s := newShop(t)
	s.giveAll(t, wants(t, family))
	s.CacheSize = 1
	whole := s.doc(t)
	must(t, os.WriteFile(s.Stage.Workshop().StateFile(), []byte("{"), 0o600))
	if _, err := s.CollectCaches(t.Context()); err == nil || !strings.Contains(err.Error(), "move the file away") {
		t.Error(err)
	}
	must(t, whole.Save(s.Stage.Dir()))
	s.Engine = func(string) (engine.Engine, error) { return nil, errors.New("no engine") }
	if _, err := s.CollectCaches(t.Context()); err == nil || err.Error() != "no engine" {
		t.Error(err)
	}
}

// A job collects where it has added something, and everything where a build
// found the disk full.
func TestAJobCollects(t *testing.T) {
	for what, c := range map[string]struct {
		change    func(*Job)
		size      int64
		collected bool
	}{
		"nothing was built":     {func(*Job) {}, 1, false},
		"something was built":   {func(j *Job) { j.build("kiosk").ran = true }, 1, true},
		"below the bound":       {func(j *Job) { j.build("kiosk").ran = true }, 1 << 30, false},
		"something failed":      {func(j *Job) { j.build("kiosk").err = errors.New("step 1 failed") }, 1, true},
		"failed, far below":     {func(j *Job) { j.build("kiosk").err = errors.New("step 1 failed") }, 1 << 30, false},
		"the disk was full":     {func(j *Job) { j.build("kiosk").err = &engine.FullError{Err: errors.New("no space")} }, 1 << 30, true},
		"another's disk is not": {func(j *Job) { j.build("kiosk").err = &ParentError{"base"} }, 1 << 30, false},
	} {
		s := newShop(t)
		s.giveAll(t, wants(t, family))
		old := s.hold(t, big("old"))
		j := s.look(t, wants(t, family), Request{})
		c.change(j)
		j.CacheSize = c.size
		maker{j}.collectCaches(t.Context())
		if collected := !s.there(t, old); collected != c.collected {
			t.Errorf("%s: collected is %t", what, collected)
		}
	}
}
