package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/tests/need"
)

// repo is a config repo of regular files; those whose content begins with #!
// are executable.
func repo(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, content := range files {
		f := &fstest.MapFile{Data: []byte(content), Mode: 0o644}
		if strings.HasPrefix(content, "#!") {
			f.Mode = 0o755
		}
		out[name] = f
	}
	return out
}

// busybox imports a root file system of nothing but busybox.
func busybox(t *testing.T, e Engine) Image {
	t.Helper()
	binary, err := os.ReadFile(need.Program(t, "busybox"))
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
	img, err := importLayers(t.Context(), e, []tarLayer{{open: open}}, nil, "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// entry is one of an image, as the highest layer that has it says.
type entry struct {
	tar.Header
	content string
	layer   int
}

// contents reads all layers, each of which must be what its diff id says.
func contents(t *testing.T, img Image) map[string]entry {
	t.Helper()
	all := map[string]entry{}
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
		if got := sha256Text(data); got != l.DiffID || int64(len(data)) != l.Size {
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
			all[filepath.Clean(h.Name)] = entry{*h, string(content), i}
		}
	}
	return all
}

func prepare(t *testing.T, r recipe.Recipe) *recipe.Prepared {
	t.Helper()
	r.Name = "test"
	p, err := recipe.Prepare(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
