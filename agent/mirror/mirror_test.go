package mirror

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/need"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// layer puts a layer with one file on a stage.
func layer(t *testing.T, st *stage.Stage, content string) deployment.Object {
	t.Helper()
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	must(t, w.WriteHeader(&tar.Header{Name: "file", Mode: 0o600, Size: int64(len(content))}))
	_, err := w.Write([]byte(content))
	must(t, errors.Join(err, w.Close()))
	sum := sha256.Sum256(data.Bytes())
	o, err := st.AddLayer(t.Context(), stage.Tar{DiffID: "sha256:" + hex.EncodeToString(sum[:]), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(&data), nil
	}})
	must(t, err)
	return o
}

func file(t *testing.T, st *stage.Stage, content string) deployment.Object {
	t.Helper()
	o, err := st.AddFile(t.Context(), strings.NewReader(content))
	must(t, err)
	return o
}

// What is an image's is given out by its digest; what is this machine's own is not.
func TestWhatIsGiven(t *testing.T) {
	need.Programs(t, "tar2sqfs")
	st, err := stage.Create(t.TempDir() + "/stage")
	must(t, err)
	base, hooks := layer(t, st, "an image's"), layer(t, st, "a secret")
	kernel, initramfs := file(t, st, "a kernel"), file(t, st, "an initramfs")
	m := deployment.Manifest{Version: deployment.Version, Image: "os", Kernel: kernel, Initramfs: initramfs, KernelVersion: "6.1.0-test", Layers: []deployment.Object{base}, Hooks: &hooks}
	id, err := st.Publish(&m)
	must(t, err)
	keys := file(t, st, "an initramfs with keys")
	_, err = st.Publish(&deployment.Manifest{Version: deployment.Version, Image: "recovery", Kernel: kernel, Initramfs: keys, KernelVersion: "6.1.0-test", Recovery: true})
	must(t, err)
	loose := file(t, st, "of no deployment")
	var log bytes.Buffer
	var served sync.Map
	s := httptest.NewServer(New(Options{Stage: st, Log: slog.New(slog.NewTextHandler(&log, nil)), Served: func(kind string, bytes int64) { served.Store(kind, bytes) }}))
	defer s.Close()
	blob := func(o deployment.Object) string { return "/v2/fleet/os/blobs/sha256:" + o.SHA256 }
	for what, c := range map[string]struct {
		method, path string
		status       int
	}{
		"the interface":        {"GET", "/v2/", 200},
		"a layer":              {"GET", blob(base), 200},
		"a layer's size":       {"HEAD", blob(base), 200},
		"a kernel":             {"GET", blob(kernel), 200},
		"an initramfs":         {"GET", blob(initramfs), 200},
		"hooks":                {"GET", blob(hooks), 404},
		"hooks' size":          {"HEAD", blob(hooks), 404},
		"a recovery entry":     {"GET", blob(keys), 404},
		"what nothing names":   {"GET", blob(loose), 404},
		"what is not there":    {"GET", blob(deployment.Object{SHA256: strings.Repeat("0", 64)}), 404},
		"a deployment":         {"GET", "/v2/fleet/blobs/sha256:" + id, 404},
		"a path":               {"GET", "/v2/fleet/blobs/sha256:..%2f..%2fstate.json", 404},
		"a manifest":           {"GET", "/v2/fleet/manifests/latest", 404},
		"what refers to it":    {"GET", "/v2/fleet/referrers/sha256:" + base.SHA256, 404},
		"something else":       {"GET", "/state.json", 404},
		"the config repo":      {"GET", "/repo/info/refs?service=git-upload-pack", 404},
		"an upload":            {"POST", "/v2/fleet/blobs/uploads/", 405},
		"a removal":            {"DELETE", blob(base), 405},
		"of no repository":     {"GET", "/v2/blobs/sha256:" + base.SHA256, 404},
		"by another algorithm": {"GET", "/v2/fleet/blobs/sha512:" + base.SHA256, 404},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, nil)
		must(t, err)
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != c.status {
			t.Errorf("%s: %s, want %d", what, resp.Status, c.status)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+blob(kernel), nil)
	must(t, err)
	req.Header.Set("Range", "bytes=2-7")
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	part, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusPartialContent || string(part) != "kernel" || resp.Header.Get("Content-Range") != "bytes 2-7/8" {
		t.Errorf("a part: %s %q %q", resp.Status, part, resp.Header.Get("Content-Range"))
	}
	s.Close() // which waits for what is logged
	if !strings.Contains(log.String(), kernel.SHA256+" status=206 bytes=6") || strings.Count(log.String(), "\n") != 4 {
		t.Errorf("told: %s", &log)
	}
	if n, _ := served.Load("object"); n != int64(6) {
		t.Errorf("counted last: %v bytes", n)
	}
	s = httptest.NewServer(New(Options{Stage: st, Log: slog.New(slog.DiscardHandler)}))
	defer s.Close()
	// What is damaged is no other machine's to find out.
	must(t, os.Truncate(st.ObjectPath(initramfs), 3))
	resp, err = http.Get(s.URL + blob(initramfs))
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("what is cut short: %s", resp.Status)
	}
}
