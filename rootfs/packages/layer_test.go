package packages

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
)

// makeLayer packs entries: a path and content, a path ending in / alone, or a
// path and "-> target".
func makeLayer(t testing.TB, pairs ...string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		h := &tar.Header{Name: pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1])), Typeflag: tar.TypeReg}
		if pairs[i][len(pairs[i])-1] == '/' {
			h.Typeflag = tar.TypeDir
		}
		if target, link := bytes.CutPrefix([]byte(pairs[i+1]), []byte("-> ")); link {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, string(target), 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(pairs[i+1])[:h.Size]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestAddLayer(t *testing.T) {
	const old, new = "Package: a\nVersion: 1\n", "Package: a\nVersion: 2\n"
	below := files("var/lib/dpkg/status", old, "var/lib/pacman/local/b-1-1/desc", "%NAME%\nb\n", "lib/apk/db/installed", "P:c\nV:1")
	for name, test := range map[string]struct {
		layer []string
		want  string
	}{
		"nothing of ours":  {[]string{"etc/", "", "etc/motd", "x", "var/lib/dpkg/info/a.list", "/."}, "c 1, a 1, b 1-1, "},
		"a newer file":     {[]string{"./var/lib/dpkg/status", new}, "c 1, a 2, b 1-1, "},
		"a removed file":   {[]string{"lib/apk/db/.wh.installed", ""}, "a 1, b 1-1, "},
		"a removed folder": {[]string{"var/.wh.lib", ""}, "c 1, "},
		"an opaque folder": {[]string{"var/lib/", "", "var/lib/.wh..wh..opq", "", "var/lib/dpkg/status", new}, "c 1, a 2, "},
		"a folder's entry": {[]string{"var/lib/pacman/local/.wh.b-1-1", "", "var/lib/pacman/local/b-2-1/desc", "%NAME%\nb\n", "var/lib/pacman/local/b-2-1/files", "x"}, "c 1, a 1, b 2-1, "},
		"a link instead":   {[]string{"lib", "-> usr/lib", "usr/lib/apk/db/installed", "P:c\nV:2"}, "c 2, a 1, b 1-1, "},
		"a file instead":   {[]string{"var/lib/dpkg", "x"}, "c 1, b 1-1, "},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := AddLayer(fsRoot{below}, makeLayer(t, test.layer...))
			if err != nil {
				t.Fatal(err)
			}
			got, err := Read(root)
			if text := names(got); err != nil || text != test.want {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

func names(found []Package) (text string) {
	for _, p := range found {
		text += p.Name + " " + p.Version + ", "
	}
	return text
}

func TestAddLayerToNothing(t *testing.T) {
	root, err := AddLayer(nil, makeLayer(t, "var/lib/dpkg/status.d/a", "Package: a\nVersion: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if root, err = AddLayer(root, makeLayer(t, "var/lib/dpkg/status.d/b", "Package: b\nVersion: 1\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(root); err != nil || names(got) != "a 1, b 1, " {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := root.ReadFile("var/lib/dpkg/status", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if list, err := root.ReadDir("var/lib/dpkg"); err != nil || !slices.Equal(list, []string{"status.d"}) {
		t.Error(list, err)
	}
}

func FuzzAddLayer(f *testing.F) {
	layer, err := io.ReadAll(makeLayer(f, "var/.wh.lib", "", "var/lib/dpkg/status", "Package: a\nVersion: 1\n", "lib", "-> usr/lib"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(layer)
	f.Fuzz(func(_ *testing.T, layer []byte) {
		if root, err := AddLayer(nil, bytes.NewReader(layer)); err == nil {
			_, _ = Read(root)
		}
	})
}
