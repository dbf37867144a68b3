package report

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

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

// Two generations differ in layers and packages, named either way round.
func TestCompare(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	st := newBook(t).Stage
	status := func(version string) string {
		return "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: " + version + "\n"
	}
	shared, one, two, bare := layer(t, st, "etc/x", "x"), layer(t, st, "var/lib/dpkg/status", status("1")), layer(t, st, "var/lib/dpkg/status", status("2")), layer(t, st, "etc/y", "y")
	doc := &state.Machine{Version: state.Version, Images: map[string]*state.Image{}}
	for n, layers := range [][]deployment.Object{{shared, one}, {shared, two}, {bare}, {shared}} {
		m := &deployment.Manifest{Version: deployment.Version, Image: "desktop", Kernel: shared, Initramfs: shared, KernelVersion: "6.1", Layers: layers}
		id, err := st.Publish(m)
		must(t, err)
		doc.Image("desktop").Add(state.Generation{N: n + 1, Deployment: id})
	}
	must(t, doc.Save(st.Dir(), nil))
	for _, c := range []struct {
		from, to          string
		shared, new, gone int
		databases         bool
		changes           string
	}{
		{"", "desktop:2", 1, 1, 1, true, `"from":"1","to":"2"`},
		{"desktop:2", "desktop:1", 1, 1, 1, true, `"from":"2","to":"1"`},
		{"desktop:1", "desktop:1", 2, 0, 0, true, `[]`},
		{"desktop:3", "desktop", 0, 1, 1, false, `[]`},
	} {
		d, err := Compare(t.Context(), st, c.from, c.to)
		if err != nil || d.Shared.Layers != c.shared || d.New.Layers != c.new || d.Gone.Layers != c.gone || d.Databases != c.databases || d.To.Image != "desktop" {
			t.Errorf("%s to %s: %+v %v", c.from, c.to, d, err)
		}
		text, err := json.Marshal(d.Changes)
		if err != nil || !strings.Contains(string(text), c.changes) {
			t.Errorf("%s to %s: %s, want %s", c.from, c.to, text, c.changes)
		}
	}
}
