package relayer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/relayer/unpacked"
	"github.com/gitboot/gitboot/internal/durable"
)

// entries write a tar.
func layerOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, h := range headers {
		content := h.Uname // a test's content, which Write has no place for
		h.Uname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(content))
		}
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1_700_000_000, 0)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Uname: content}
}

func dir(name string) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755}
}

func link(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}

// imageOf is an engine's image of tars.
func imageOf(t testing.TB, layers ...[]byte) engine.Image {
	t.Helper()
	img := engine.Image{}
	var diffIDs []string
	for _, data := range layers {
		img.Layers = append(img.Layers, engine.Layer{DiffID: oci.Digest(data), Size: int64(len(data)), Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(data)), nil
		}})
		diffIDs = append(diffIDs, `"`+oci.Digest(data)+`"`)
	}
	img.Config = []byte(`{"architecture":"amd64","os":"linux","created":"2024-01-02T03:04:05Z","config":{"Labels":{"a":"b"},"Healthcheck":{"Interval":30000000000}},"history":[{"created_by":"RUN x"}],"rootfs":{"type":"layers","diff_ids":[` + strings.Join(diffIDs, ",") + `]}}`)
	if whole, err := img.Identify(); err != nil || !whole {
		t.Fatal(whole, err)
	}
	return img
}

// seen is what unpacking an image leaves: a line for each name.
func seen(t testing.TB, img engine.Image) map[string]string {
	t.Helper()
	tree := unpacked.New(func(string) bool { return true })
	for i, l := range img.Layers {
		in, err := l.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Add(i, in); err != nil {
			t.Fatal(err)
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
	}
	out, names := map[string]string{}, map[*unpacked.File]string{}
	each(tree.Root(), func(n *unpacked.Node) {
		h := n.File.Header("")
		first, again := names[n.File]
		if !again {
			names[n.File], first = n.Path(), n.Path()
		}
		out[n.Path()] = fmt.Sprintf("%c %o %d:%d %s %q %d:%d %q %q %s %d", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime, h.Linkname, h.Devmajor, h.Devminor, h.PAXRecords, n.File.Data(), first, n.File.Names)
	})
	return out
}

const status = "Package: one\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\nPackage: two\nSource: both\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\nPackage: three\nSource: both (3)\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n"

// base is a layer with packages that own files by a path that leads through a link.
func base(t testing.TB) []byte {
	return layerOf(t, dir("."), dir("usr"), dir("usr/bin"), symlink("bin", "usr/bin"), dir("usr/lib"),
		file("usr/bin/one", "1"), file("usr/bin/two", "22"), file("usr/bin/three", "333"), link("usr/bin/deux", "usr/bin/two"), file("usr/bin/mine", "m"),
		dir("usr/lib/p"), file("usr/lib/p/m.py", "import"), dir("usr/lib/p/__pycache__"), file("usr/lib/p/__pycache__/m.cpython-311.pyc", "code"),
		dir("etc"), file("etc/one.conf", "c"), dir("var"), dir("var/lib"), dir("var/lib/dpkg"), dir("var/lib/dpkg/info"), dir("var/empty"),
		file("var/lib/dpkg/status", status), file("var/lib/dpkg/info/one.list", "/.\n/bin\n/bin/one\n/etc/one.conf\n"),
		file("var/lib/dpkg/info/two.list", "/usr/bin/two\n/usr/lib/p/m.py\n"), file("var/lib/dpkg/info/three.list", "/usr/bin/three\n/usr/bin/gone\n"))
}

func relayered(t testing.TB, s *Store, img engine.Image) engine.Image {
	t.Helper()
	out, err := s.Make(t.Context(), img, Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func names(t testing.TB, l engine.Layer) (out []string) {
	t.Helper()
	in, err := l.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	err = unpacked.Entries(in, func(h *tar.Header, _ io.Reader) error { out = append(out, h.Name); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestLayersByPackages(t *testing.T) {
	img := imageOf(t, base(t), layerOf(t, file("usr/bin/.wh.three", ""), file("usr/bin/added", "a")))
	s := Open(t.TempDir())
	out := relayered(t, s, img)
	if diff := cmp.Diff(seen(t, img), seen(t, out)); diff != "" {
		t.Error(diff)
	}
	together := map[string]int{}
	for i, l := range out.Layers {
		all := names(t, l)
		if len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
			t.Errorf("layer %d has a name twice: %q", i, all)
		}
		for _, name := range all {
			if strings.Contains(name, ".wh.") {
				t.Errorf("a whiteout: %s", name)
			}
			if !strings.HasSuffix(name, "/") {
				together[name] = i
			}
		}
	}
	for _, c := range [][]string{
		{"usr/bin/two", "usr/bin/deux", "usr/lib/p/m.py", "usr/lib/p/__pycache__/m.cpython-311.pyc"},
		{"usr/bin/mine", "usr/bin/added"}, {"bin", "etc/one.conf", "var/lib/dpkg/status"},
	} {
		for _, name := range c {
			if together[name] != together[c[0]] {
				t.Errorf("%s and %s are apart: %v", c[0], name, together)
			}
		}
	}
	if last := names(t, out.Layers[len(out.Layers)-1]); last[0] != "./" {
		t.Errorf("the root is not in the highest layer: %q", last)
	}
	if again := relayered(t, Open(t.TempDir()), img); again.ID != out.ID {
		t.Error("the same image becomes another one")
	}
	// What is damaged is made again by who asks for that.
	lost := oci.Blob(s.Dir, out.Layers[0].DiffID)
	if err := os.WriteFile(lost, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Make(t.Context(), img, Options{Name: "test", Again: true}); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(lost); err != nil || info.Size() != out.Layers[0].Size {
		t.Errorf("a damaged layer stays: %v %v", info, err)
	}
	// So is what is found to be damaged, which is gone then.
	if dropped, err := s.DropDamaged(t.Context(), out.ID); err != nil || len(dropped) > 0 {
		t.Errorf("of a whole image %q is dropped: %v", dropped, err)
	}
	if err := os.WriteFile(lost, []byte("spoiled"), 0o600); err != nil {
		t.Fatal(err)
	}
	dropped, err := s.DropDamaged(t.Context(), out.ID)
	if diff := cmp.Diff([]string{out.Layers[0].DiffID}, dropped); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if _, err := s.Image(t.Context(), out.ID); !errors.Is(err, engine.ErrGone) {
		t.Errorf("what is damaged is still there: %v", err)
	}
	if again := relayered(t, s, img); again.ID != out.ID {
		t.Error("made again it is another one")
	}
	// What is remembered goes with the image's name.
	if err := errors.Join(s.Forget([]string{"test"}), s.Forget([]string{"test"})); err != nil {
		t.Error(err)
	}
	places := filepath.Join(s.Dir, placesFolder, "test")
	if _, err := os.Stat(places); err != nil {
		t.Error(err)
	}
	if err := s.Forget(nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(places); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it stays: %v", err)
	}
	if !bytes.Contains(out.Config, []byte(`"Interval":30000000000`)) || !bytes.Contains(out.Config, []byte(`"a":"b"`)) || bytes.Contains(out.Config, []byte("RUN x")) {
		t.Errorf("its configuration is %s", out.Config)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, durable.TempPrefix+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestWhatCannotBeMade(t *testing.T) {
	whole := imageOf(t, base(t))
	for _, c := range []struct {
		img     engine.Image
		reserve int64
		want    string
	}{
		{imageOf(t, layerOf(t, file("usr/bin/a", "a"))), 0, "no package in the image"},
		{engine.Image{Config: whole.Config, Layers: []engine.Layer{{DiffID: "sha256:other", Open: whole.Layers[0].Open}}}, 0, "in truth"},
		{whole, 1 << 60, "no room was left"},
		{imageOf(t, base(t), layerOf(t, file("../a", ""))), 0, `".."`},
		{imageOf(t, base(t), layerOf(t, link("a", "b"))), 0, "not there"},
	} {
		s := Open(t.TempDir())
		_, err := s.Make(t.Context(), c.img, Options{Name: "test", Reserve: c.reserve})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.want, err)
		}
		if left, _ := filepath.Glob(filepath.Join(s.Dir, durable.TempPrefix+"*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := Open(t.TempDir()).Make(ctx, whole, Options{Name: "test"}); !errors.Is(err, cause) {
		t.Error(err)
	}
}

// random makes an image of layers that change each other in all ways.
func random(t testing.TB, seed uint64) engine.Image {
	r := rand.New(rand.NewPCG(seed, 0))
	all := [][]byte{base(t)}
	var known []string
	for range 1 + r.IntN(4) {
		var h []tar.Header
		for range r.IntN(30) {
			name := "usr"
			for range r.IntN(3) {
				name += "/" + string("abcd"[r.IntN(4)])
			}
			if name += "/" + string("ABCD"[r.IntN(4)]); r.IntN(20) == 0 { // else folders have other names
				name = strings.ToLower(name)
			}
			e := tar.Header{Name: name, Mode: int64(r.IntN(0o10000)), Uid: r.IntN(3), Gid: r.IntN(3), ModTime: time.Unix(int64(r.IntN(1e9)), int64(r.IntN(2)*500)), Format: tar.FormatPAX}
			if r.IntN(4) == 0 {
				e.PAXRecords = map[string]string{"SCHILY.xattr.user.x": fmt.Sprint(r.IntN(3))}
			}
			switch r.IntN(9) {
			case 0, 1, 2:
				e.Typeflag, e.Uname = tar.TypeReg, strings.Repeat("x", r.IntN(2000))
				known = append(known, name)
			case 3, 4:
				e.Typeflag, e.Name = tar.TypeDir, strings.ToLower(name)+"/"
			case 5:
				if r.IntN(2) == 0 {
					name = strings.ToLower(name)
				}
				e = tar.Header{Typeflag: tar.TypeReg, Name: filepath.Dir(name) + "/.wh." + filepath.Base(name)}
			case 6:
				e = tar.Header{Typeflag: tar.TypeReg, Name: filepath.Dir(name) + "/.wh..wh..opq"}
			case 7:
				e.Typeflag, e.Devmajor, e.Devminor = tar.TypeBlock, 7, int64(r.IntN(3))
			case 8:
				if len(known) == 0 {
					continue
				}
				e = link(name, known[r.IntN(len(known))])
			}
			h = append(h, e)
		}
		all = append(all, layerOf(t, h...))
	}
	return imageOf(t, all...)
}

func TestRandomTreesStayTheSame(t *testing.T) {
	made := 0
	for seed := range uint64(100) {
		img := random(t, seed)
		s := Open(t.TempDir())
		out, err := s.Make(t.Context(), img, Options{Name: "test"})
		if err != nil { // a link to what is gone, a file where a folder is needed
			continue
		}
		made++
		if diff := cmp.Diff(seen(t, img), seen(t, out)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		if again := relayered(t, s, out); again.Digest != out.Digest {
			t.Fatalf("seed %d: made of itself it is another one", seed)
		}
	}
	if made < 30 {
		t.Errorf("%d of 100 images could be made", made)
	}
}
