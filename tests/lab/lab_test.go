package lab

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestRegistryServesWhatWasPushed(t *testing.T) {
	dir := t.TempDir()
	r, err := NewRegistry(filepath.Join(dir, "registry"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var layers []Layer
	for i, compression := range []string{Zstd, Gzip, None} {
		path := filepath.Join(dir, compression+".tar")
		writeTar(t, path, fmt.Sprint("layer ", i))
		layers = append(layers, Layer{Path: path, Compression: compression})
	}
	ref, digest, err := r.Push(t.Context(), "desktop:v1", map[string]string{"a": "b"}, layers...)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(parsed, remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if h, err := img.Digest(); err != nil || h.String() != digest {
		t.Errorf("pulled %v, %v; pushed %s", h, err, digest)
	}
	got, err := img.Layers()
	if err != nil || len(got) != len(layers) {
		t.Fatalf("%d layers, %v; pushed %d", len(got), err, len(layers))
	}
	rc, err := got[2].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	want, err := os.ReadFile(layers[2].Path)
	if err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(rc); err != nil || string(data) != string(want) {
		t.Errorf("the uncompressed layer came back as %d bytes, %v; want %d", len(data), err, len(want))
	}
}

func writeTar(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.WriteHeader(&tar.Header{Name: "./file", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReposAreDeterministic(t *testing.T) {
	commit := func() string {
		r, err := NewRepo(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Write("machines/laptop.toml", "hostname = 'a'\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Commit(t.Context(), "first"); err != nil {
			t.Fatal(err)
		}
		if err := r.Replace("machines/laptop.toml", "'a'", "'b'"); err != nil {
			t.Fatal(err)
		}
		hash, err := r.Commit(t.Context(), "second")
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	if a, b := commit(), commit(); a != b {
		t.Errorf("equal content was committed as %s and %s", a, b)
	}
}

func TestConsoleSaysHowFarItGot(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct{ printed, want string }{
		{"", "printed nothing at all"},
		{"GNU GRUB\r\n", "no kernel wrote to this console: without quiet"},
		{"GNU GRUB\r\n[    0.312345] Freeing SMP alternatives memory: 44K\r\n", `its last line "[    0.312345] Freeing SMP alternatives memory: 44K" came 0 s after`},
	} {
		c := newConsole(nil)
		fmt.Fprint(c, test.printed)
		_, err := c.WaitFor(ctx, regexp.MustCompile("never"))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("after %q it says %v, want %s", test.printed, err, test.want)
		}
		if strings.Contains(test.printed, "SMP") && strings.Contains(err.Error(), "no kernel") {
			t.Errorf("a kernel that wrote is said not to have: %v", err)
		}
	}
}

func TestConsole(t *testing.T) {
	c := newConsole(nil)
	fmt.Fprint(c, "\x1b[2J\x1b[01;01H\x1b[0mGNU GRUB\x1b[5;3Hfirst entry\r\nlinux starts\r\nhalf a l")
	for _, want := range []string{"^GNU GRUB$", "^first entry$", "^linux"} {
		if _, err := c.WaitFor(t.Context(), regexp.MustCompile(want)); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Fprint(c, "ine\nuser=ada\n")
	if _, err := c.WaitFor(t.Context(), regexp.MustCompile("^half a line$")); err != nil {
		t.Fatal(err)
	}
	m, err := c.WaitFor(t.Context(), regexp.MustCompile(`user=(\w+)`))
	if err != nil || m.Groups[1] != "ada" {
		t.Errorf("matched %v, %v", m.Groups, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.WaitFor(ctx, regexp.MustCompile("never")); err == nil || !strings.Contains(err.Error(), "user=ada") {
		t.Errorf("a wait that is cancelled says %v; it must show the last lines", err)
	}
	fmt.Fprint(c, "Kernel panic - not syncing: no init\n")
	if _, err := c.WaitFor(t.Context(), regexp.MustCompile("never")); err == nil {
		t.Error("a panic must end the wait")
	}
	c.end()
	if _, err := c.WaitFor(t.Context(), regexp.MustCompile("never")); err == nil {
		t.Error("the machine's end must end the wait")
	}
}
