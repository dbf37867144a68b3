package workshop

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/engines"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/source"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/reconciler/wanted"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

const family = `
[image.base.build]
from = "archive:root.tar"
run = ["echo base"]
args = { A = "1" }

[image.desktop.build]
from = "image:base"
run = ["echo desktop"]
schedule = "0 3 * * *"

[image.kiosk.build]
from = "archive:root.tar"
run = ["echo kiosk"]

[machine.laptop]
images = ["desktop", "kiosk"]
kernel_args = ["quiet"]
`

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A testShop is a workshop with a clock that the test sets, and what it logs.
type testShop struct {
	*Shop
	now time.Time
	log *bytes.Buffer
}

// newShop is a workshop that has nothing yet. Its engine is a BuildKit daemon
// that nobody has started: it holds images, and builds none.
func newShop(t *testing.T) *testShop {
	t.Helper()
	return newShopAt(t, filepath.Join(t.TempDir(), "stage"))
}

func newShopAt(t *testing.T, dir string) *testShop {
	t.Helper()
	st, err := stage.Create(dir)
	must(t, err)
	s := &testShop{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	clock := func() time.Time { return s.now }
	st.Log = slog.New(slog.NewTextHandler(s.log, nil))
	s.Shop = &Shop{
		Stage: st, EngineDir: st.Engine(), Find: origin.Finder{Now: clock}, Log: st.Log, Now: clock, Engines: []string{"buildkit"},
		Engine: func(string) (engine.Engine, error) {
			return engines.Open("buildkit", engines.Options{Dir: st.Engine()})
		},
	}
	return s
}

// wants is what a config wants of the laptop. Its root.tar holds nothing but
// /etc.
func wants(t *testing.T, config string) *wanted.Wanted {
	t.Helper()
	return wantsOf(t, config, fstest.MapFS{"root.tar": {Data: tarOf(t, map[string]string{"etc/": ""})}})
}

func wantsOf(t *testing.T, config string, files fstest.MapFS) *wanted.Wanted {
	t.Helper()
	files["gitboot.toml"] = &fstest.MapFile{Data: []byte(config)}
	fleet, err := spec.Load(t.Context(), files)
	must(t, err)
	w, err := fleet.Resolve(t.Context(), "laptop")
	must(t, err)
	return &wanted.Wanted{Revision: source.Revision{Hash: strings.Repeat("1", 40)}, Wants: w, Files: files}
}

// tarOf makes an archive of files, and of folders where a name ends with /.
func tarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var data bytes.Buffer
	out := tar.NewWriter(&data)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir, ModTime: time.Unix(1e9, 0)}
		if !strings.HasSuffix(name, "/") {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(files[name]))
		}
		must(t, out.WriteHeader(h))
		_, err := io.WriteString(out, files[name])
		must(t, err)
	}
	must(t, out.Close())
	return data.Bytes()
}

func (s *testShop) look(t *testing.T, w *wanted.Wanted, req Request) *Job {
	t.Helper()
	j, err := s.Look(t.Context(), w, req)
	must(t, err)
	return j
}

// hold puts an image of one layer into the engine's store.
func (s *testShop) hold(t *testing.T, files map[string]string) engine.Image {
	t.Helper()
	data := tarOf(t, files)
	given := engine.Image{Config: []byte(`{"config":{}}`), Layers: []engine.Layer{{
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
	}}}
	e, err := s.Engine("")
	must(t, err)
	img, err := engine.ImportBuilt(t.Context(), e, given, "", t.TempDir())
	must(t, err)
	return img
}

// give has the store hold what a build would have given, and the document say so.
func (s *testShop) give(t *testing.T, j *Job, name string, files map[string]string) {
	t.Helper()
	b, img := j.build(name), s.hold(t, files)
	must(t, maker{j}.recordBuild(b, b.key(), img, img, s.now))
}

// giveAll does so with all images that have something to be built.
func (s *testShop) giveAll(t *testing.T, w *wanted.Wanted) {
	t.Helper()
	j := s.look(t, w, Request{})
	for _, b := range j.builds {
		s.give(t, j, b.want.Name, map[string]string{"etc/name": b.want.Name})
	}
}

// loseImages empties the engine's store.
func (s *testShop) loseImages(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll(s.Stage.Engine()))
}

// make begins a job, makes what it has to, and ends it.
func (s *testShop) make(t *testing.T, w *wanted.Wanted, req Request) *Job {
	t.Helper()
	j := s.look(t, w, req)
	must(t, j.Begin(t.Context()))
	must(t, errors.Join(j.Make(t.Context()), j.End()))
	return j
}

func (s *testShop) doc(t *testing.T) *state.Workshop {
	t.Helper()
	doc, err := state.LoadWorkshop(s.Stage.Dir())
	must(t, err)
	return doc
}

// written identifies the document's file, nil if there is none.
func (s *testShop) written(t *testing.T) os.FileInfo {
	t.Helper()
	info, err := os.Stat(s.Stage.Workshop().StateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	must(t, err)
	return info
}

func (s *testShop) runs(t *testing.T) []state.Run {
	t.Helper()
	runs, err := state.Runs(s.Stage.Dir())
	must(t, err)
	return runs
}

// planned is what a job would do, in one line.
func planned(j *Job) string {
	var out []string
	builds, pushes := j.Plan()
	for _, b := range builds {
		out = append(out, b.Image+": "+strings.Join(b.Reasons, ", "))
	}
	for _, p := range pushes {
		out = append(out, "push "+p.Image+": "+p.Reason)
	}
	return strings.Join(out, "; ")
}

func names(failed map[string]error) string {
	return strings.Join(slices.Sorted(maps.Keys(failed)), " ")
}

// serve gives an archive out by HTTP.
func serve(t *testing.T, archive []byte) (url, sha256sum string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }))
	t.Cleanup(server.Close)
	return server.URL + "/root.tar", fmt.Sprintf("%x", sha256.Sum256(archive))
}
