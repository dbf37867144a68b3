package inventory

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/rootfs/packages"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newStage(t *testing.T) *stage.Stage {
	t.Helper()
	need.Programs(t, "tar2sqfs")
	st, err := stage.Create(filepath.Join(t.TempDir(), "stage"))
	must(t, err)
	return st
}

// layer stages a layer of one file.
func layer(t *testing.T, st *stage.Stage, name, content string) deployment.Object {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}))
	_, err := io.WriteString(w, content)
	must(t, errors.Join(err, w.Close()))
	o, err := st.AddLayer(t.Context(), stage.Tar{
		DiffID: fmt.Sprintf("sha256:%x", sha256.Sum256(data.Bytes())), Name: "test", Size: int64(data.Len()),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&data), nil },
	})
	must(t, err)
	return o
}

// database stages a layer whose package database has the given packages.
func database(t *testing.T, st *stage.Stage, installed ...string) deployment.Object {
	t.Helper()
	var status strings.Builder
	for _, p := range installed {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&status, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", name, version)
	}
	return layer(t, st, "var/lib/dpkg/status", status.String())
}

func publish(t *testing.T, st *stage.Stage, layers ...deployment.Object) string {
	t.Helper()
	kernel, err := st.AddFile(t.Context(), strings.NewReader("kernel"))
	must(t, err)
	id, err := st.Publish(&deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: kernel, Initramfs: kernel, KernelVersion: "6.1", Layers: layers})
	must(t, err)
	return id
}

// The highest layer's database counts.
func TestInstalled(t *testing.T) {
	st := newStage(t)
	low, high, other := database(t, st, "a=1", "b=1"), database(t, st, "a=2"), layer(t, st, "etc/x", "x")
	for what, c := range map[string]struct {
		layers []deployment.Object
		want   string
	}{
		"one":             {[]deployment.Object{low}, "a 1 b 1"},
		"another above":   {[]deployment.Object{low, high}, "a 2"},
		"the other way":   {[]deployment.Object{high, low}, "a 1 b 1"},
		"something above": {[]deployment.Object{low, other}, "a 1 b 1"},
		"none":            {[]deployment.Object{other}, ""},
	} {
		installed, err := Installed(t.Context(), st, c.layers)
		var got []string
		for _, p := range installed {
			got = append(got, p.Name, p.Version)
		}
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q %v", what, got, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := Installed(ended, st, []deployment.Object{low}); !errors.Is(err, context.Canceled) {
		t.Errorf("read after its end: %v", err)
	}
	must(t, os.Remove(st.ObjectPath(low)))
	if _, err := Installed(t.Context(), st, []deployment.Object{low}); err == nil {
		t.Error("a layer that is not there is read")
	}
}

// What changes is known where there is a database, and where something can have
// changed at all.
func TestChanged(t *testing.T) {
	st := newStage(t)
	one, two, other := database(t, st, "a=1"), database(t, st, "a=2"), layer(t, st, "etc/x", "x")
	for what, c := range map[string]struct {
		before, after []deployment.Object
		want          string
	}{
		"the same layers": {[]deployment.Object{one}, []deployment.Object{one}, ""},
		"another version": {[]deployment.Object{one}, []deployment.Object{two}, "a 1 → 2"},
		"no database":     {[]deployment.Object{other}, []deployment.Object{other, other}, ""},
		"no more":         {[]deployment.Object{one}, []deployment.Object{other}, "a"},
	} {
		s, err := Changed(t.Context(), st, publish(t, st, c.before...), c.after)
		got := ""
		if s != nil {
			got = s.String()
		}
		if err != nil || !strings.Contains(got, c.want) || (s == nil) != (c.want == "") {
			t.Errorf("%s: %q %v", what, got, err)
		}
	}
	if _, err := Changed(t.Context(), st, strings.Repeat("0", 64), nil); err == nil {
		t.Error("a deployment that is not there is compared")
	}
	broken := errors.New("broken")
	if _, err := Compare(t.Context(), st, []deployment.Object{one}, func() ([]packages.Package, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// What a generation lacks is told by its number and the object.
func TestDamage(t *testing.T) {
	st := newStage(t)
	object := database(t, st, "a=1")
	g := state.Generation{N: 3, Deployment: publish(t, st, object)}
	if got := Damage(st, g); got != "" {
		t.Errorf("%q", got)
	}
	must(t, os.Truncate(st.ObjectPath(object), object.Size-1))
	want := "generation 3 lacks object " + object.SHA256[:12]
	if got := Damage(st, g); got != want {
		t.Errorf("short: %q", got)
	}
	must(t, os.Remove(st.ObjectPath(object)))
	if got := Damage(st, g); got != want {
		t.Errorf("gone: %q", got)
	}
	must(t, st.RemoveDeployment(g.Deployment))
	if got := Damage(st, g); got != "generation 3 has no readable manifest" {
		t.Errorf("%q", got)
	}
}
