package workshop

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

const published = `
[image.desktop]
insecure = true
[image.desktop.build]
from = "archive:root.tar"
run = ["echo one"]
push = "REF"
labels = { "org.opencontainers.image.title" = "Ada's desk" }

[machine.laptop]
images = ["desktop"]
builds = ["desktop"]
`

// A publishing shop has built an image, and knows a registry for it.
type publishingShop struct {
	*testShop
	registry *lab.Registry
	ref      string
	config   string
}

func newPublishing(t *testing.T) *publishingShop {
	t.Helper()
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	must(t, err)
	t.Cleanup(func() { registry.Close() })
	p := &publishingShop{testShop: newShop(t), registry: registry, ref: registry.Addr + "/desktop:nightly"}
	p.Find.Options.Timing.Attempts, p.Repo = 1, "https://ada:secret@git.example/fleet.git"
	p.config = strings.Replace(published, "REF", p.ref, 1)
	p.giveAll(t, wants(t, p.config))
	return p
}

// publish makes a job, whose end must not fail.
func (p *publishingShop) publish(t *testing.T, w *wanted.Wanted, req Request) *Job {
	t.Helper()
	j := p.look(t, w, req)
	must(t, j.Begin(t.Context()))
	must(t, errors.Join(j.Make(t.Context()), j.Publish(t.Context()), j.End()))
	return j
}

func (p *publishingShop) known(t *testing.T) state.Push {
	t.Helper()
	push := p.doc(t).Builds["desktop"].Push
	if push == nil {
		t.Fatal("nothing is known of what was published")
	}
	return *push
}

// labels returns the org.opencontainers.image labels of what is published.
func labels(t *testing.T, ref string) map[string]string {
	t.Helper()
	img, err := image.Open(t.Context(), ref, "", image.Options{Insecure: true})
	must(t, err)
	out := map[string]string{}
	for key, value := range img.Labels {
		if short, ok := strings.CutPrefix(key, "org.opencontainers.image."); ok {
			out[short] = value
		}
	}
	return out
}

// What is published says what it is, and stays as it is until its content is
// another.
func TestPublish(t *testing.T) {
	p := newPublishing(t)
	w := wants(t, p.config)
	if got := planned(p.look(t, w, Request{})); got != "push desktop: it was not published yet" {
		t.Errorf("%q", got)
	}
	j := p.publish(t, w, Request{Trigger: "test"})
	first := p.known(t)
	if _, pushes, unpublished := j.Made(); len(pushes) != 1 || pushes[0].Reason != "digest "+plan.Short(first.Digest) || len(unpublished) > 0 || !j.Results()[0].Pushed {
		t.Errorf("made %v %v", pushes, unpublished)
	}
	if first.Tag != "nightly-20260501T120000Z" || first.Ref != p.ref || !first.Time.Equal(p.now) || len(first.Blobs) != 1 {
		t.Errorf("%+v", first)
	}
	for _, ref := range []string{p.ref, p.registry.Addr + "/desktop:" + first.Tag} {
		l := labels(t, ref)
		if l["title"] != "desktop" || l["version"] != first.Tag || l["created"] != "2026-05-01T12:00:00Z" || l["revision"] != w.Revision.Hash || l["source"] != "https://git.example/fleet.git" {
			t.Errorf("%s: %v", ref, l)
		}
	}
	if steps := p.runs(t)[0].Steps; len(steps) != 1 || steps[0].Kind != plan.PushImage || steps[0].Ref != p.ref || steps[0].Reason != "it was not published yet" {
		t.Errorf("%+v", steps)
	}
	// A rebuild and a revision later, of the same content.
	p.now = p.now.Add(24 * time.Hour)
	later := *w
	later.Revision.Hash = strings.Repeat("2", 40)
	p.give(t, p.look(t, &later, Request{}), "desktop", map[string]string{"etc/name": "desktop"})
	if j := p.look(t, &later, Request{}); !j.Settled() {
		t.Errorf("planned %q", planned(j))
	}
	// Another content comes beside the first.
	p.give(t, p.look(t, &later, Request{}), "desktop", map[string]string{"etc/name": "other"})
	if got := planned(p.look(t, &later, Request{})); got != "push desktop: it changed" {
		t.Errorf("%q", got)
	}
	p.publish(t, &later, Request{})
	next := p.known(t)
	if next.Digest == first.Digest || next.Tag != "nightly-20260502T120000Z" || labels(t, p.ref)["revision"] != later.Revision.Hash {
		t.Errorf("%+v", next)
	}
	if l := labels(t, p.registry.Addr+"/desktop:"+first.Tag); l["version"] != first.Tag {
		t.Errorf("the first is %v", l)
	}
}

// A registry is asked for what was published only where all is looked up anew.
func TestPublishedIsLookedUp(t *testing.T) {
	for what, c := range map[string]struct {
		change func(*testing.T, *publishingShop)
		want   string
	}{
		"it is there": {func(*testing.T, *publishingShop) {}, ""},
		"it is gone": {func(t *testing.T, p *publishingShop) {
			must(t, crane.Delete(p.ref, crane.Insecure))
		}, "push desktop: the registry does not have it any more"},
		"another one": {func(t *testing.T, p *publishingShop) {
			_, _, err := p.registry.Push(t.Context(), "desktop:nightly", nil)
			must(t, err)
		}, "push desktop: the registry has another one, "},
		"nobody answers": {func(t *testing.T, p *publishingShop) { must(t, p.registry.Close()) }, "push desktop: the registry did not say whether it still has it"},
	} {
		p := newPublishing(t)
		w := wants(t, p.config)
		p.publish(t, w, Request{})
		first := p.known(t)
		c.change(t, p)
		if got := planned(p.look(t, w, Request{})); got != "" {
			t.Errorf("%s: without being told to look, %q", what, got)
		}
		got := planned(p.look(t, w, Request{Update: true}))
		if !strings.HasPrefix(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
		if what == "nobody answers" {
			continue
		}
		j := p.publish(t, w, Request{Update: true})
		if l := labels(t, p.ref); l["version"] != first.Tag || p.known(t).Digest != first.Digest {
			t.Errorf("%s: there is %v", what, l)
		}
		if _, pushes, _ := j.Made(); (len(pushes) > 0) != (c.want != "") {
			t.Errorf("%s: made %v", what, pushes)
		}
	}
}

// A push that fails is tried again by the patient after a while, and by others
// at once. It is no failure of the image.
func TestPushBackoff(t *testing.T) {
	p := newPublishing(t)
	w := wants(t, p.config)
	must(t, p.registry.Close())
	for _, c := range []struct {
		after    time.Duration
		patient  bool
		attempts int
	}{{0, true, 1}, {30 * time.Second, true, 1}, {time.Minute, true, 2}, {time.Minute, true, 2}, {time.Minute, true, 3}, {time.Second, false, 4}} {
		p.now = p.now.Add(c.after)
		before := p.failures(t)
		j := p.publish(t, w, Request{Patient: c.patient})
		f := p.known(t).Failure
		if f == nil || f.Attempts != c.attempts || len(j.Failed()) > 0 || p.doc(t).Builds["desktop"].Failure != nil {
			t.Errorf("after %s: %+v, failed %v", c.after, f, j.Failed())
		}
		_, _, unpublished := j.Made()
		if tried := before != c.attempts; (unpublished["desktop"] != nil) != tried || (j.Results()[0].PushErr != nil) != tried {
			t.Errorf("after %s: unpublished %v", c.after, unpublished)
		}
		if got := planned(p.look(t, w, Request{})); got != "push desktop: the last push failed" {
			t.Errorf("after %s: planned %q", c.after, got)
		}
	}
	if f := p.known(t).Failure; !f.Since.Equal(p.now.Add(-3*time.Minute - 31*time.Second)) {
		t.Errorf("it stands since %s", f.Since)
	}
}

// failures is how often publishing has failed.
func (p *publishingShop) failures(t *testing.T) int {
	t.Helper()
	if push := p.doc(t).Builds["desktop"].Push; push != nil && push.Failure != nil {
		return push.Failure.Attempts
	}
	return 0
}

// An image that the engine's store has lost since the look is told with its
// remedy.
func TestPushOfALostImage(t *testing.T) {
	p := newPublishing(t)
	j := p.look(t, wants(t, p.config), Request{})
	must(t, j.Begin(t.Context()))
	must(t, j.Make(t.Context()))
	p.loseImages(t)
	must(t, errors.Join(j.Publish(t.Context()), j.End()))
	_, _, unpublished := j.Made()
	if err := unpublished["desktop"]; err == nil || !strings.Contains(err.Error(), "`gitboot image build desktop --no-cache` builds it anew") || !strings.HasPrefix(err.Error(), "push "+p.ref) {
		t.Error(err)
	}
}

// A newer revision that wants something else stops publishing; the next job
// publishes what is left.
func TestPublishIsSuperseded(t *testing.T) {
	p := newPublishing(t)
	j := p.look(t, wants(t, p.config), Request{})
	must(t, j.Begin(t.Context()))
	must(t, j.Make(t.Context()))
	j.Supersede(wants(t, p.config+"kernel_args = [\"debug\"]\n"))
	if err := j.Publish(t.Context()); !errors.Is(err, ErrSuperseded) {
		t.Error(err)
	}
	must(t, j.End())
	if push := p.known(t); push.Failure != nil || push.Digest != "" {
		t.Errorf("%+v", push)
	}
	if got := planned(p.look(t, wants(t, p.config), Request{Patient: true})); got != "push desktop: it was not published yet" {
		t.Errorf("%q", got)
	}
	p.publish(t, wants(t, p.config), Request{})
	if p.known(t).Digest == "" {
		t.Error("it is published by nobody")
	}
}

// What is published no more is forgotten, and told nobody.
func TestPushIsNotWantedAnyMore(t *testing.T) {
	p := newPublishing(t)
	p.publish(t, wants(t, p.config), Request{})
	w := wants(t, strings.Replace(p.config, `push = "`+p.ref+`"`, "", 1))
	if j := p.look(t, w, Request{}); j.Settled() || planned(j) != "" {
		t.Errorf("planned %q", planned(j))
	}
	p.make(t, w, Request{})
	if push := p.doc(t).Builds["desktop"].Push; push != nil {
		t.Errorf("%+v", push)
	}
	// Elsewhere it is published anew.
	p.publish(t, wants(t, p.config), Request{})
	other := strings.Replace(p.config, p.ref, p.registry.Addr+"/other:nightly", 1)
	if got := planned(p.look(t, wants(t, other), Request{})); got != "push desktop: it was published as "+p.ref {
		t.Errorf("%q", got)
	}
}

// What is known of layers in a registry, of this image, its bases or what it was
// pulled from.
func TestKnownBlob(t *testing.T) {
	zstd := image.Blob{MediaType: "application/vnd.oci.image.layer.v1.tar+zstd", Digest: "sha256:z", Repository: "r.lan/desktop"}
	gzip := image.Blob{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Digest: "sha256:g", Repository: "r.lan/base"}
	pushed := func(b image.Blob) *state.Build {
		return &state.Build{Push: &state.Push{Blobs: map[string]image.Blob{"l": b}}}
	}
	pulled := &state.Build{BaseBlobs: map[string]image.Blob{"l": gzip}}
	for what, c := range map[string]struct {
		own, parent *state.Build
		push        spec.Push
		want        string
	}{
		"nothing":                         {&state.Build{}, nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, ""},
		"pushed before":                   {pushed(zstd), nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, "sha256:z"},
		"pushed, compressed otherwise":    {pushed(zstd), nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "gzip"}, ""},
		"pushed with the base":            {&state.Build{}, pushed(gzip), spec.Push{Ref: "r.lan/desktop:1", Compression: "gzip"}, "sha256:g"},
		"its own before the base's":       {pushed(zstd), pulled, spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, "sha256:z"},
		"pulled from the same registry":   {pulled, nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, "sha256:g"},
		"pulled by the base":              {&state.Build{Push: &state.Push{}}, pulled, spec.Push{Ref: "r.lan/desktop:1", Compression: "zstd"}, "sha256:g"},
		"pulled from another one":         {pulled, nil, spec.Push{Ref: "r.lan:5000/desktop:1", Compression: "gzip"}, ""},
		"pushed otherwise, but pulled":    {&state.Build{Push: pushed(zstd).Push, BaseBlobs: pulled.BaseBlobs}, nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "gzip"}, "sha256:g"},
		"a layer that is known to no one": {&state.Build{BaseBlobs: map[string]image.Blob{"other": gzip}}, nil, spec.Push{Ref: "r.lan/desktop:1", Compression: "gzip"}, ""},
	} {
		b := &build{state: c.own}
		if c.parent != nil {
			b.parent = &build{state: c.parent}
		}
		got := ""
		if blob := b.knownBlob("l", &c.push); blob != nil {
			got = blob.Digest
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}
