package origin

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tarOf is an archive of one file.
func tarOf(t *testing.T, name string) []byte {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	must(t, errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644}), w.Close()))
	return data.Bytes()
}

func newRegistry(t *testing.T) *lab.Registry {
	t.Helper()
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	must(t, err)
	t.Cleanup(func() { registry.Close() })
	return registry
}

// push publishes an image of one file, and returns its digest.
func push(t *testing.T, registry *lab.Registry, file string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer.tar")
	must(t, os.WriteFile(path, tarOf(t, file), 0o600))
	_, digest, err := registry.Push(t.Context(), "desktop:1", nil, lab.Layer{Path: path})
	must(t, err)
	return digest
}

func finder(now *time.Time) Finder {
	return Finder{Now: func() time.Time { return *now }, Options: image.Options{Timing: image.Timing{Attempts: 1}}}
}

// What a tag means is asked when nobody knows, when its schedule is due and when
// that is wanted; else it is what it was, whatever the registry has.
func TestResolve(t *testing.T) {
	registry, now := newRegistry(t), noon
	want := spec.Image{Name: "desktop", Pull: &spec.Pull{Ref: registry.Addr + "/desktop:1", Insecure: true, Update: "0 3 * * *", Platform: "linux/amd64"}}
	f := finder(&now)
	first := push(t, registry, "one")
	known, opened, err := f.Resolve(t.Context(), state.Origin{}, want, nil)
	if err != nil || opened != nil || known.Digest != first || !known.Checked.Equal(noon) || known.Declared == "" {
		t.Fatalf("%+v %v", known, err)
	}
	second := push(t, registry, "two")
	elsewhere := want
	pull := *want.Pull
	pull.Mirrors = []string{"mirror.lan"}
	elsewhere.Pull = &pull
	for what, c := range map[string]struct {
		change func(f *Finder, known *state.Origin)
		want   spec.Image
		digest string
	}{
		"nothing":             {func(*Finder, *state.Origin) {}, want, first},
		"wanted":              {func(f *Finder, _ *state.Origin) { f.Update = true }, want, second},
		"due":                 {func(f *Finder, _ *state.Origin) { f.Now = func() time.Time { return noon.Add(24 * time.Hour) } }, want, second},
		"declared otherwise":  {func(*Finder, *state.Origin) {}, elsewhere, second},
		"no digest was found": {func(_ *Finder, known *state.Origin) { known.Digest = "" }, want, second},
	} {
		f, was := f, known
		c.change(&f, &was)
		got, _, err := f.Resolve(t.Context(), was, c.want, nil)
		if err != nil || got.Digest != c.digest || (got == was) != (c.digest == first) {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
	img, err := f.Open(t.Context(), want, first, nil)
	if err != nil || img.Digest != first || len(img.Layers) != 1 {
		t.Errorf("%+v %v", img, err)
	}
	// What cannot be asked is left as it was.
	must(t, registry.Close())
	f.Update = true
	if got, _, err := f.Resolve(t.Context(), known, want, nil); err == nil || got != known {
		t.Errorf("%+v %v", got, err)
	}
}

// An archive is opened when its file is another, and not else.
func TestResolveArchive(t *testing.T) {
	now := noon
	f, files := finder(&now), fstest.MapFS{"root.tar": {Data: tarOf(t, "one")}}
	path := filepath.Join(t.TempDir(), "root.tar")
	must(t, os.WriteFile(path, tarOf(t, "one"), 0o600))
	inRepo := spec.Image{Name: "desktop", Archive: &spec.Archive{Path: "root.tar", InRepo: true}}
	onDisk := spec.Image{Name: "desktop", Archive: &spec.Archive{Path: path}}
	for what, c := range map[string]struct {
		want   spec.Image
		change func()
	}{
		"in the repo": {inRepo, func() { files["root.tar"] = &fstest.MapFile{Data: tarOf(t, "two")} }},
		"on the disk": {onDisk, func() {
			must(t, os.WriteFile(path, tarOf(t, "two"), 0o600))
			must(t, os.Chtimes(path, noon, noon))
		}},
	} {
		known, opened, err := f.Resolve(t.Context(), state.Origin{}, c.want, files)
		if err != nil || opened == nil || opened.Digest != known.Digest || known.Fingerprint == "" || !known.Checked.IsZero() {
			t.Fatalf("%s: %+v %v", what, known, err)
		}
		if again, opened, err := f.Resolve(t.Context(), known, c.want, files); err != nil || opened != nil || again != known {
			t.Errorf("%s: the same is opened: %+v %v", what, again, err)
		}
		c.change()
		if next, opened, err := f.Resolve(t.Context(), known, c.want, files); err != nil || opened == nil || next.Digest == known.Digest || next.Fingerprint == known.Fingerprint {
			t.Errorf("%s: another is not: %+v %v", what, next, err)
		}
	}
	for what, want := range map[string]spec.Image{
		"an archive that is not there": {Name: "desktop", Archive: &spec.Archive{Path: "none.tar", InRepo: true}},
		"an image that is built":       {Name: "desktop", Build: &spec.Build{}},
	} {
		if got, opened, err := f.Resolve(t.Context(), state.Origin{Digest: "known"}, want, files); err == nil || opened != nil || got.Digest != "known" {
			t.Errorf("%s: %+v %v", what, got, err)
		}
	}
}

// When to look does not change what is found; all else that is declared does.
func TestDeclaration(t *testing.T) {
	hash := func(pull *spec.Pull, archive *spec.Archive) string {
		t.Helper()
		h, err := Declaration(spec.Image{Name: "desktop", Pull: pull, Archive: archive})
		must(t, err)
		return h
	}
	one := hash(&spec.Pull{Ref: "r.lan/a:1"}, nil)
	if hash(&spec.Pull{Ref: "r.lan/a:1", Update: "@daily"}, nil) != one {
		t.Error("another schedule is another image")
	}
	if want := "e6aea0b9af1c5999ef32c9cfe455a20a8a2d4e7bdbc1be312d244d2ff24a3b78"; one != want {
		t.Errorf("an older gitboot has it as %s, and now it is %s: all images would be asked for again", want, one)
	}
	seen := map[string]string{one: "a"}
	for what, h := range map[string]string{
		"tag":      hash(&spec.Pull{Ref: "r.lan/a:2"}, nil),
		"platform": hash(&spec.Pull{Ref: "r.lan/a:1", Platform: "linux/arm64"}, nil),
		"mirror":   hash(&spec.Pull{Ref: "r.lan/a:1", Mirrors: []string{"m"}}, nil),
		"key":      hash(&spec.Pull{Ref: "r.lan/a:1", CosignKey: "k"}, nil),
		"copied":   hash(&spec.Pull{Ref: "r.lan/a:1", CosignRepository: "q.lan/a"}, nil),
		"archive":  hash(nil, &spec.Archive{Path: "a"}),
		"sha256":   hash(nil, &spec.Archive{Path: "a", SHA256: "0"}),
		"repo":     hash(nil, &spec.Archive{Path: "a", InRepo: true}),
	} {
		if seen[h] != "" {
			t.Errorf("%s: the same as of %s", what, seen[h])
		}
		seen[h] = what
	}
}

// An image's own settings come before the machine's.
func TestOptions(t *testing.T) {
	f := Finder{Options: image.Options{CredentialsFile: "/machine.json", TokenServers: []string{"t.lan"}}}
	if o := f.PullOptions(&spec.Pull{}); o.CredentialsFile != "/machine.json" || !strings.HasPrefix(o.Platform, "linux/") || o.Insecure || len(o.TokenServers) != 1 {
		t.Errorf("%+v", o)
	}
	o := f.PullOptions(&spec.Pull{CredentialsFile: "/image.json", Platform: "linux/arm64", Insecure: true, Mirrors: []string{"m"}, TrustMirrorTags: true})
	if o.CredentialsFile != "/image.json" || o.Platform != "linux/arm64" || !o.Insecure || !o.TrustMirrorTags || len(o.Mirrors) != 1 {
		t.Errorf("%+v", o)
	}
	if o := f.PushOptions(&spec.Push{CredentialsFile: "/push.json", Insecure: true}); o.CredentialsFile != "/push.json" || !o.Insecure || len(o.Mirrors) > 0 {
		t.Errorf("%+v", o)
	}
	if o := f.PushOptions(&spec.Push{}); o.CredentialsFile != "/machine.json" || f.Options.Insecure {
		t.Errorf("%+v", o)
	}
}

// What takes longer than allowed is given up with what may be done; what fails by
// itself, or by whoever ended it, is told as it is.
func TestInTime(t *testing.T) {
	broken := errors.New("broken")
	waits := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	ended, end := context.WithCancel(t.Context())
	end()
	for what, c := range map[string]struct {
		ctx     context.Context
		allowed time.Duration
		do      func(context.Context) error
		want    string
	}{
		"in time":         {t.Context(), 0, func(context.Context) error { return nil }, ""},
		"fails":           {t.Context(), 0, func(context.Context) error { return broken }, "broken"},
		"too long":        {t.Context(), time.Millisecond, waits, "fetching it took too long, more than 1ms: look at what its server does, or allow more by image_time in agent.toml"},
		"it was ended":    {ended, time.Hour, waits, "context canceled"},
		"late, but whole": {t.Context(), time.Millisecond, func(ctx context.Context) error { <-ctx.Done(); return nil }, ""},
	} {
		got := ""
		if err := InTime(c.ctx, c.allowed, c.do); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q", what, got)
		}
	}
}

// A server that is slow gives its archive when it is through: to the run after
// the one that began to ask.
func TestASlowServer(t *testing.T) {
	data := tarOf(t, "one")
	let, asked := make(chan struct{}), atomic.Int32{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-let:
		case <-r.Context().Done():
		}
		_, _ = w.Write(data)
	}))
	defer server.Close()
	now := noon
	f := finder(&now)
	f.Options.CacheDir, f.Lookups = t.TempDir(), NewLookups(t.Context(), time.Millisecond)
	defer f.Lookups.End()
	want := spec.Image{Name: "desktop", Archive: &spec.Archive{URL: server.URL + "/root.tar", SHA256: fmt.Sprintf("%x", sha256.Sum256(data))}}
	for range 2 {
		got, _, err := f.Resolve(t.Context(), state.Origin{Digest: "known"}, want, nil)
		if !errors.As(err, new(*ComingError)) || got.Digest != "known" {
			t.Errorf("%+v %v", got, err)
		}
	}
	close(let)
	if !f.Lookups.Wait(t.Context()) {
		t.Fatal("nothing is waited for")
	}
	got, opened, err := f.Resolve(t.Context(), state.Origin{Digest: "known"}, want, nil)
	if err != nil || opened == nil || got.Digest == "known" || asked.Load() != 1 {
		t.Errorf("%+v, asked %d times: %v", got, asked.Load(), err)
	}
	if f.Lookups.Wait(t.Context()) {
		t.Error("what was taken is waited for")
	}
}
