package reconciler

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/tests/lab"
)

const published = `
[image.desktop]
insecure = true
[image.desktop.build]
from = "archive:root.tar"
run = ["echo one > /etc/which"]
rootfs_fixes = false
schedule = "0 3 * * *"
push = "REF"
labels = { "org.opencontainers.image.title" = "Ada's desk" }

[machine.laptop]
images = ["desktop"]
builds = ["desktop"]
`

// What is published bears the revision and the time of the build that made its
// content, and stays as it is until the content is another.
func TestPublishedContent(t *testing.T) {
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { registry.Close() })
	ref := registry.Addr + "/desktop:nightly"
	config := strings.Replace(published, "REF", ref, 1)
	s := newSite(t, config)
	first := s.publish(t, 1, true)
	labels := s.pushedLabels(t, ref)
	if labels["title"] != "Ada's desk" || labels["version"] != "nightly-20260501T120000Z" || labels["created"] != "2026-05-01T12:00:00Z" || labels["revision"] != s.state(t).Revision {
		t.Errorf("labels: %v", labels)
	}

	// A night later, and a commit later: the same content, the same digest.
	if err := s.repo.Write("unrelated", "x"); err != nil {
		t.Fatal(err)
	}
	s.commit(t, config)
	s.now = s.now.Add(24 * time.Hour)
	if again := s.publish(t, 1, false); again.Digest != first.Digest || again.Tag != first.Tag || !again.Time.Equal(first.Time) {
		t.Errorf("published anew: %+v, was %+v", again, first)
	}

	// Another content has another tag beside the first.
	s.now = s.now.Add(time.Minute)
	s.commit(t, strings.Replace(config, "echo one", "echo two", 1))
	next := s.publish(t, 1, true)
	if next.Digest == first.Digest || next.Tag != "nightly-20260502T120100Z" || s.pushedLabels(t, ref)["revision"] != s.state(t).Revision {
		t.Errorf("published: %+v", next)
	}
	s.pushedLabels(t, registry.Addr+"/desktop:"+first.Tag)
}

// publish runs, and returns what was published last.
func (s *site) publish(t *testing.T, builds int, changed bool) state.Push {
	t.Helper()
	built, result := s.run(t)
	if built != builds || result.Changed != changed || result.Err() != nil {
		t.Fatalf("%d built, changed is %t: %v", built, result.Changed, result.Err())
	}
	return *s.made(t).Builds["desktop"].Push
}

// pushedLabels returns the org.opencontainers.image labels of what is published.
func (s *site) pushedLabels(t *testing.T, ref string) map[string]string {
	t.Helper()
	img, err := image.Open(t.Context(), ref, "", image.Options{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, value := range img.Labels {
		if short, ok := strings.CutPrefix(key, "org.opencontainers.image."); ok {
			out[short] = value
		}
	}
	return out
}

// A push that fails is tried again by the polling reconcile after a while, and
// by hand at once; nothing is built for it.
func TestPushBackoff(t *testing.T) {
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Close(); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.Replace(published, "REF", registry.Addr+"/desktop:nightly", 1))
	s.req.Patient, s.Shop.Find.Options.Timing.Attempts = true, 1
	attempts := func() int { return s.made(t).Builds["desktop"].Push.Failure.Attempts }
	for _, c := range []struct {
		after           time.Duration
		built, attempts int
	}{{0, 1, 1}, {30 * time.Second, 0, 1}, {time.Minute, 0, 2}, {time.Minute, 0, 2}, {time.Minute, 0, 3}} {
		s.now = s.now.Add(c.after)
		if built, result := s.run(t); built != c.built || attempts() != c.attempts || len(result.Failed) > 0 {
			t.Errorf("after %s: %d built, %d attempts: %v", c.after, built, attempts(), result.Err())
		}
	}
	s.req.Patient = false
	if _, result := s.run(t); result.Unpublished["desktop"] == nil || attempts() != 4 {
		t.Errorf("by hand: %d attempts, %v", attempts(), result.Err())
	}
}
