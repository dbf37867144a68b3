package workshop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/tests/lab"
)

// Where a base comes from that the engine has not built.
func TestBaseOf(t *testing.T) {
	archive := &spec.Archive{Path: "root.tar"}
	base := &spec.Image{Name: "base", Pull: &spec.Pull{Ref: "r.lan/base:1"}}
	for what, c := range map[string]struct {
		build spec.Build
		want  string
	}{
		"built here":    {spec.Build{Base: &spec.Image{Name: "base", Build: &spec.Build{}}}, ""},
		"pulled here":   {spec.Build{Base: base}, "r.lan/base:1"},
		"a reference":   {spec.Build{FromRef: "r.lan/x:1", Pulled: spec.Pull{Insecure: true}}, "r.lan/x:1 insecure"},
		"an archive":    {spec.Build{FromArchive: archive}, "root.tar"},
		"from scratch":  {spec.Build{Scratch: true}, ""},
		"by bootstrap":  {spec.Build{Scratch: true, Bootstrap: []string{"debootstrap"}}, ""},
		"and mirrored":  {spec.Build{FromRef: "r.lan/x:1", Pulled: spec.Pull{Mirrors: []string{"m.lan"}}}, "r.lan/x:1 [m.lan]"},
		"base, not ref": {spec.Build{Base: base, FromRef: "r.lan/x:1"}, "r.lan/base:1"},
	} {
		got := ""
		if b := baseOf(spec.Image{Name: "desktop", Build: &c.build, LayerSize: 7}); b != nil {
			switch {
			case b.Archive != nil:
				got = b.Archive.Path
			default:
				got = b.Pull.Ref
				if b.Pull.Insecure {
					got += " insecure"
				}
				if len(b.Pull.Mirrors) > 0 {
					got += fmt.Sprint(" ", b.Pull.Mirrors)
				}
			}
			if b != base && b.LayerSize != 7 {
				t.Errorf("%s: the bound of a layer is %d", what, b.LayerSize)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

const onRegistry = `
[image.desktop.build]
from = "REG/base:1"
insecure = true
containerfiles = ["f"]
schedule = "0 3 * * *"
[machine.laptop]
images = ["desktop"]
`

// basesIn is what a config wants that names a base and a tool in a registry.
func basesIn(t *testing.T, registry *lab.Registry, config string) *wanted.Wanted {
	t.Helper()
	fragment := "FROM REG/tool:1 AS tool\nFROM $GITBOOT_FROM\nCOPY --from=tool /tool /tool\n"
	return wantsOf(t, strings.ReplaceAll(config, "REG", registry.Addr), fstest.MapFS{
		"f":        {Data: []byte(strings.ReplaceAll(fragment, "REG", registry.Addr))},
		"root.tar": {Data: tarOf(t, map[string]string{"etc/": ""})},
	})
}

func newBases(t *testing.T) *lab.Registry {
	t.Helper()
	registry, err := lab.NewRegistry(filepath.Join(t.TempDir(), "registry"))
	must(t, err)
	t.Cleanup(func() { registry.Close() })
	pushBase(t, registry, "base:1", "1")
	pushBase(t, registry, "tool:1", "1")
	return registry
}

func pushBase(t *testing.T, registry *lab.Registry, repoTag, version string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "layer.tar")
	must(t, os.WriteFile(path, tarOf(t, map[string]string{"version": version}), 0o600))
	_, _, err := registry.Push(t.Context(), repoTag, nil, lab.Layer{Path: path})
	must(t, err)
}

// What a tag means is asked when it is declared, when the schedule is due and when
// somebody wants it asked, and else is what it was.
func TestBasesAreLookedUp(t *testing.T) {
	for _, moved := range []string{"base:1", "tool:1"} {
		s, registry := newShop(t), newBases(t)
		w := basesIn(t, registry, onRegistry)
		s.giveAll(t, w)
		part := map[string]string{"base:1": "from changed", "tool:1": "FROM " + registry.Addr + "/tool:1 changed"}[moved]
		pushBase(t, registry, moved, "2")
		if got := planned(s.look(t, w, Request{})); got != "" {
			t.Errorf("%s: before it is due, %q", moved, got)
		}
		if got := planned(s.look(t, w, Request{Update: true})); got != "desktop: "+part {
			t.Errorf("%s: asked for, %q", moved, got)
		}
		s.now = s.now.Add(24 * time.Hour)
		j := s.look(t, w, Request{})
		if got := planned(j); got != "desktop: schedule 0 3 * * * is due" || len(j.build("desktop").key().Differences(s.doc(t).Builds["desktop"].Key)) != 1 {
			t.Errorf("%s: due, %q", moved, got)
		}
		// Due, but resting, it is left as it was.
		b := j.build("desktop")
		b.tried(errors.New("step 1 failed"), s.now)
		must(t, maker{j}.save(b))
		pushBase(t, registry, moved, "3")
		patient := s.look(t, w, Request{Patient: true}).build("desktop")
		if !errors.As(patient.err, new(*state.RestingError)) || !patient.key().Equal(b.key()) {
			t.Errorf("%s: asked for a build that rests: %v", moved, patient.err)
		}
	}
}

// A registry that does not answer fails the image, and what is known stays.
func TestARegistryDoesNotAnswer(t *testing.T) {
	s, registry := newShop(t), newBases(t)
	s.Find.Options.Timing.Attempts = 1
	w := basesIn(t, registry, onRegistry)
	s.giveAll(t, w)
	before := s.doc(t).Builds["desktop"]
	must(t, registry.Close())
	if j := s.look(t, w, Request{}); planned(j) != "" || len(j.Failed()) > 0 {
		t.Errorf("asked in vain: %v", j.Failed())
	}
	j := s.make(t, w, Request{Update: true})
	if err := j.Failed()["desktop"]; err == nil || !strings.HasPrefix(err.Error(), "look up the base "+registry.Addr+"/base:1: ") {
		t.Error(err)
	}
	after := s.doc(t).Builds["desktop"]
	if after.Base != before.Base || after.ID != before.ID || after.Failure == nil || after.Failure.Attempts != 1 {
		t.Errorf("%+v", after)
	}
	// Whoever polls leaves it alone for a while, and writes nothing.
	waits := s.look(t, w, Request{Update: true, Patient: true})
	if !errors.As(waits.Failed()["desktop"], new(*state.RestingError)) || !waits.Settled() {
		t.Errorf("asked again at once: %v", waits.Failed())
	}
	s.now = s.now.Add(time.Minute)
	if again := s.look(t, w, Request{Update: true, Patient: true}).Failed()["desktop"]; again == nil || errors.As(again, new(*state.RestingError)) {
		t.Errorf("a minute later: %v", again)
	}
	other := basesIn(t, registry, strings.Replace(onRegistry, "from = \"REG/base:1\"", "from = \"archive:root.tar\"", 1))
	j = s.look(t, other, Request{Update: true})
	if err := j.Failed()["desktop"]; err == nil || !strings.HasPrefix(err.Error(), "look up "+registry.Addr+"/tool:1, which a fragment names: ") {
		t.Error(err)
	}
}

// A base that is gone from its registry is told with what to do. That of an image
// that is published is remembered with what its registry has of it.
func TestOpenBase(t *testing.T) {
	for _, push := range []string{"", "push = \"REG/desktop:1\"\n"} {
		s, registry := newShop(t), newBases(t)
		config := strings.Replace(onRegistry, "insecure", push+"insecure", 1) + "builds = [\"desktop\"]\n"
		j := s.look(t, basesIn(t, registry, config), Request{})
		b := j.build("desktop")
		img, err := maker{j}.openBase(t.Context(), b)
		if err != nil || len(img.Layers) != 1 || (len(b.blobs) == 1) != (push != "") {
			t.Errorf("%v: %v", b.blobs, err)
		}
		must(t, crane.Delete(registry.Addr+"/base@"+b.state.Base.Digest, crane.Insecure))
		_, err = maker{j}.openBase(t.Context(), b)
		for _, want := range []string{registry.Addr + "/base:1 at " + strings.TrimPrefix(b.state.Base.Digest, "sha256:")[:12] + " is gone", "push it there again", "--update"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v lacks %q", err, want)
			}
		}
	}
}

// Only the credentials of images that steps name are given to the engine, and for
// no longer than it needs them.
func TestEngineCredentials(t *testing.T) {
	s, registry := newShop(t), newBases(t)
	file := filepath.Join(t.TempDir(), "auth.json")
	must(t, os.WriteFile(file, fmt.Appendf(nil, `{"auths": {%q: {"auth": "YTpi"}, "other.lan": {"auth": "eDp5"}}}`, registry.Addr), 0o600))
	must(t, os.MkdirAll(s.Stage.Workshop().Temp(), 0o700))
	j := s.look(t, basesIn(t, registry, onRegistry), Request{})
	b := j.build("desktop")
	if path, remove, err := (maker{j}).engineCredentials(t.Context(), b); path != "" || err != nil || remove() != nil {
		t.Errorf("without any: %q %v", path, err)
	}
	b.want.Build.Pulled.CredentialsFile = file
	path, remove, err := maker{j}.engineCredentials(t.Context(), b)
	must(t, err)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "YTpi") || strings.Contains(string(text), "other.lan") {
		t.Errorf("%s %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	must(t, remove())
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
	must(t, os.WriteFile(file, []byte("no JSON"), 0o600))
	if _, _, err := (maker{j}).engineCredentials(t.Context(), b); err == nil {
		t.Error("a file that is none is none")
	}
}

// What decides an image are all its parts, and the failure of one is not that of
// another.
func TestTried(t *testing.T) {
	s := newShop(t)
	b := s.look(t, wants(t, family), Request{}).build("kiosk")
	b.tried(errors.New("one"), s.now)
	first := *b.state.Failure
	b.tried(errors.New("one"), s.now.Add(time.Hour))
	if f := b.state.Failure; f.Attempts != 2 || !f.Since.Equal(first.Since) || f.Key != first.Key {
		t.Errorf("again: %+v", f)
	}
	b.tried(errors.New("two"), s.now.Add(2*time.Hour))
	if f := b.state.Failure; f.Attempts != 3 || !f.Since.Equal(s.now.Add(2*time.Hour)) {
		t.Errorf("otherwise: %+v", f)
	}
	b.state.Base = state.Origin{Digest: "other"}
	b.tried(errors.New("two"), s.now.Add(3*time.Hour))
	if f := b.state.Failure; f.Attempts != 1 || f.Key == first.Key || !f.Since.Equal(s.now.Add(3*time.Hour)) {
		t.Errorf("from something else: %+v", f)
	}
}
