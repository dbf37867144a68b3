package writable

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
	"github.com/gitboot/gitboot/tests/squashed"
)

// layer is one of a running system that has a writable layer with some files.
func layer(t *testing.T, files ...string) Layer {
	t.Helper()
	l := Layer{Dir: t.TempDir(), Image: "desktop", Upper: deployment.Upper{Path: "/gitboot-root", Persistent: true}}
	top := filepath.Join(l.Dir, "desktop/kept/upper")
	if err := os.MkdirAll(top, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		file := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("written"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// generation is one of an image with some files.
func generation(t *testing.T, n int, booted time.Time, files map[string]string) Generation {
	t.Helper()
	top := t.TempDir()
	for name, text := range files {
		file := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := lab.Run(t.Context(), "tar", "-C", top, "-c", ".")
	if err != nil {
		t.Fatal(err)
	}
	object := squashed.File(t, strings.NewReader(archive))
	return Generation{N: n, Booted: booted, Open: func() (*rootfs.Tree, error) { return rootfs.OpenTree([]string{object}) }}
}

// A file that was written hides what generations bring that booted later, or have not
// yet, and nothing else.
func TestHides(t *testing.T) {
	need.Programs(t, "tar", "tar2sqfs")
	l := layer(t, "etc/same", "etc/ours", "etc/ssh/config", "etc/old", "etc/gone", "etc/new", "etc/next")
	before, after := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	all := []Generation{
		generation(t, 1, before, map[string]string{"etc/same": "a", "etc/old": "a", "etc/ssh/config": "a", "etc/gone": "a", "etc/next": "a"}),
		generation(t, 2, before, map[string]string{"etc/same": "a", "etc/old": "b", "etc/ssh/config": "a", "etc/gone": "a", "etc/next": "a"}),
		generation(t, 3, after, map[string]string{"etc/same": "a", "etc/old": "b", "etc/ssh/config": "longer", "etc/new": "a", "etc/next": "b"}),
		generation(t, 4, time.Time{}, map[string]string{"etc/same": "a", "etc/old": "b", "etc/ssh/config": "longer", "etc/new": "a", "etc/next": "longer"}),
	}
	r, err := l.Look(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	want := []Hidden{{"/etc/new", 3}, {"/etc/next", 4}, {"/etc/ssh/config", 3}}
	if !slices.Equal(r.Hides, want) || r.Files != 7 || r.Bytes == 0 || r.Free == 0 || !r.Kept || r.Part {
		t.Errorf("%+v", r)
	}
	l = layer(t)
	if r, err = l.Look(t.Context(), all); err != nil || len(r.Hides) > 0 || r.Files != 0 {
		t.Errorf("of nothing: %+v %v", r, err)
	}
}

// What is to be given up adds up, and can be taken back.
func TestReset(t *testing.T) {
	l := layer(t)
	for _, c := range []struct{ paths, want []string }{
		{[]string{"/etc/hosts", "/var//lib/x/"}, []string{"/etc/hosts", "/var/lib/x"}},
		{[]string{"/etc/hosts"}, []string{"/etc/hosts", "/var/lib/x"}},
		{nil, []string{"/", "/etc/hosts", "/var/lib/x"}},
	} {
		if got, err := l.Reset(c.paths); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q gives up %q: %v", c.paths, got, err)
		}
	}
	if r, err := l.Look(t.Context(), nil); err != nil || len(r.Reset) != 3 {
		t.Errorf("%+v %v", r, err)
	}
	for _, path := range []string{"etc/hosts", "", "/a\nb"} {
		if _, err := l.Reset([]string{path}); err == nil {
			t.Errorf("%q can be given up", path)
		}
	}
	if err := errors.Join(l.Keep(), l.Keep()); err != nil {
		t.Error(err)
	}
	if r, err := l.Look(t.Context(), nil); err != nil || len(r.Reset) != 0 {
		t.Errorf("%+v %v", r, err)
	}
	l.Upper.Persistent = false
	if _, err := l.Reset(nil); err == nil {
		t.Error("what is wiped anyway can be given up")
	}
}

func TestOpen(t *testing.T) {
	m := &deployment.Manifest{Image: "desktop"}
	if _, err := Open(m); !errors.Is(err, ErrMemory) {
		t.Error(err)
	}
	m.Root.Upper = &deployment.Upper{Path: "/x"}
	if l, err := Open(m); err != nil || l.Dir != deployment.UpperMount || l.Image != "desktop" || l.Upper.Path != "/x" {
		t.Errorf("%+v %v", l, err)
	}
}
