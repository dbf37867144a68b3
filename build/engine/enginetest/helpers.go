package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/program"
)

// Busybox imports a root file system of nothing but busybox.
func Busybox(t *testing.T, e engine.Engine) engine.Image {
	t.Helper()
	path, err := program.Find("busybox")
	if err != nil {
		t.Fatalf("%v; run tests/deps.sh test", err)
	}
	binary, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(h tar.Header, data []byte) {
		h.Size, h.ModTime = int64(len(data)), time.Unix(1e9, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write(data)
	}
	for _, dir := range []string{"bin", "etc", "tmp", "root"} {
		add(tar.Header{Name: dir + "/", Typeflag: tar.TypeDir, Mode: 0o755}, nil)
	}
	add(tar.Header{Name: "bin/busybox", Mode: 0o755, Typeflag: tar.TypeReg}, binary)
	for _, name := range []string{"sh", "cat", "ls", "sleep", "mkdir", "ln", "rm", "grep", "date", "echo", "touch", "test", "chmod", "yes", "dd"} {
		add(tar.Header{Name: "bin/" + name, Typeflag: tar.TypeSymlink, Linkname: "busybox", Mode: 0o777}, nil)
	}
	add(tar.Header{Name: "etc/resolv.conf", Mode: 0o644, Typeflag: tar.TypeReg}, []byte("nameserver 192.0.2.1\n"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(&archive), nil }
	given := engine.Image{Config: []byte(`{"config":{"Env":["PATH=` + program.Path + `"]}}`), Layers: []engine.Layer{{Open: open}}}
	img, err := engine.ImportBuilt(t.Context(), e, given, "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// An Entry is one of an image, as the highest layer that has it says.
type Entry struct {
	tar.Header
	Content string
	layer   int
}

// Contents reads all layers, each of which must be what its diff id says.
func Contents(t *testing.T, img engine.Image) map[string]Entry {
	t.Helper()
	all := map[string]Entry{}
	for i, l := range img.Layers {
		r, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		if got := oci.Digest(data); got != l.DiffID || int64(len(data)) != l.Size {
			t.Errorf("layer %d is %s of %d bytes, not %s of %d", i, got, len(data), l.DiffID, l.Size)
		}
		archive := tar.NewReader(bytes.NewReader(data))
		for {
			h, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(archive)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Clean(h.Name)] = Entry{*h, string(content), i}
		}
	}
	return all
}

// Prepare renders a recipe.
func Prepare(t *testing.T, r recipe.Recipe) *recipe.Prepared {
	t.Helper()
	r.Name = "test"
	p, err := recipe.Prepare(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Epoch is the time that built files bear.
var Epoch = time.Unix(1700000000, 0)

// Build builds a recipe and returns the log.
func Build(t *testing.T, e engine.Engine, r recipe.Recipe, opts engine.Options) (engine.Image, string, error) {
	t.Helper()
	var log bytes.Buffer
	opts.Epoch, opts.TempDir, opts.Log = Epoch, t.TempDir(), &log
	img, err := engine.Run(t.Context(), e, Prepare(t, r), opts)
	return img, log.String(), err
}

// Built is what was built, or the end of the test.
func Built(t *testing.T, e engine.Engine, r recipe.Recipe, opts engine.Options) engine.Image {
	t.Helper()
	img, log, err := Build(t, e, r, opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	return img
}

// Random is a step that writes so many megabytes, each time others.
func Random(name, megabytes string) string {
	return "dd if=/dev/urandom of=/root/" + name + " bs=1M count=" + megabytes + " 2>/dev/null"
}

// Empty fails the test if anything is in a folder.
func Empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v %v", left, err)
	}
}
