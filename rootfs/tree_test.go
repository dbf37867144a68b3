package rootfs_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/squashed"
)

// An entry is one file of a layer; a name with a slash at its end is a
// directory.
type entry struct {
	name, data, link string
	whiteout, opaque bool
	header           tar.Header // mode, owner and the like
}

func (e entry) head() *tar.Header {
	h := e.header
	h.Name, h.Typeflag, h.Size, h.Format = "./"+e.name, tar.TypeReg, int64(len(e.data)), tar.FormatPAX
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	switch {
	case strings.HasSuffix(e.name, "/"):
		h.Typeflag = tar.TypeDir
	case e.link != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
	case e.whiteout:
		h.Typeflag = tar.TypeChar
	}
	if e.opaque {
		h.PAXRecords = map[string]string{
			"SCHILY.xattr.security.ima":           "first",
			"SCHILY.xattr.security.selinux":       "second",
			"SCHILY.xattr.trusted.overlay.opaque": "y",
			"SCHILY.xattr.user.overlay.opaque":    "n",
		}
	}
	return &h
}

// openTree opens layers, lowest first.
func openTree(t *testing.T, layers ...[]entry) *rootfs.Tree {
	t.Helper()
	var files []string
	for _, entries := range layers {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			if err := w.WriteHeader(e.head()); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(e.data)); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		files = append(files, squashed.File(t, &b))
	}
	tree, err := rootfs.OpenTree(files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func TestTreeUnion(t *testing.T) {
	long := strings.Repeat("a long file, to fill blocks and a fragment. ", 20000)
	tree := openTree(t,
		[]entry{{name: "etc/both", data: "lower"}, {name: "etc/gone", data: "x"}, {name: "dir/file", data: "x"},
			{name: "opaque/lower", data: "x"}, {name: "turned/file", data: "x"}, {name: "usr/lib/deep", data: "deep"},
			{name: "long", data: long}, {name: "empty", data: ""}},
		[]entry{{name: "etc/both", data: "upper"}, {name: "etc/gone", whiteout: true}, {name: "dir", whiteout: true},
			{name: "opaque/", opaque: true}, {name: "opaque/upper", data: "up"}, {name: "turned", data: "now a file"},
			{name: "lib", link: "usr/lib"}, {name: "abs", link: "/lib/../lib/deep"}, {name: "loop", link: "loop"},
			{name: "out", link: "../../../usr/lib/deep"}, {name: "dangling", link: "/nowhere"}})
	for path, want := range map[string]string{
		"/etc/both": "upper", "etc/gone": "-", "/dir/file": "-", "/opaque/lower": "-", "/opaque/upper": "up",
		"/turned/file": "-", "/turned": "now a file", "/lib/deep": "deep", "/abs": "deep", "/out": "deep",
		"/dangling": "-", "/long": long, "/empty": "", "/etc/both/x": "-",
	} {
		r, err := tree.OpenFile(path)
		if want == "-" {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: %v, want that it doesn't exist", path, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %d bytes %.20q, %v; want %d", path, len(got), got, err, len(want))
		}
	}
	for _, path := range []string{"/loop", "/etc"} {
		if _, err := tree.OpenFile(path); err == nil {
			t.Errorf("%s could be opened", path)
		}
	}
}

// Readers of other files than kernels see the union too, and no more than they
// ask for.
func TestTreeReads(t *testing.T) {
	tree := openTree(t,
		[]entry{{name: "var/lib/db/a", data: "lower"}, {name: "var/lib/db/gone", data: "x"}},
		[]entry{{name: "var/lib/db/b", data: "upper"}, {name: "var/lib/db/gone", whiteout: true}, {name: "db", link: "/var/lib/db"}})
	if names, err := tree.ReadDir("/db"); err != nil || !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("%q, %v", names, err)
	}
	if names, err := tree.ReadDir("nowhere"); err != nil || names != nil {
		t.Errorf("%q, %v", names, err)
	}
	if data, err := tree.ReadFile("/db/a", 5); err != nil || string(data) != "lower" {
		t.Errorf("%q, %v", data, err)
	}
	if _, err := tree.ReadFile("db/a", 4); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file larger than asked for: %v", err)
	}
	if _, err := tree.ReadFile("db/gone", 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a removed file: %v", err)
	}
	if _, err := tree.ReadFile("var", 5); err == nil {
		t.Error("a folder was read as a file")
	}
}

func TestAttributes(t *testing.T) {
	long := strings.Repeat("v", 300)
	has := func(name string, header tar.Header) entry { return entry{name: name, header: header} }
	tree := openTree(t,
		[]entry{has("d/", tar.Header{Mode: 0o700, Uid: 9}), has("e/", tar.Header{Mode: 0o700, Uid: 9})},
		[]entry{has("d/", tar.Header{Mode: 0o1777, Uid: 100000, Gid: 7, ModTime: time.Unix(1700000000, 0),
			PAXRecords: map[string]string{"SCHILY.xattr.user.k": long, "SCHILY.xattr.trusted.k": "w", "SCHILY.xattr.security.k": ""}}),
			has("d/f", tar.Header{Mode: 0o4755, PAXRecords: map[string]string{"SCHILY.xattr.user.k": long}}),
			{name: "e/g", data: "12"}})
	for name, want := range map[string]rootfs.Attributes{
		"d": {Stat: rootfs.Stat{Mode: fs.ModeDir | fs.ModeSticky | 0o777, UID: 100000, GID: 7}, ModTime: 1700000000,
			Xattrs: map[string]string{"user.k": long, "trusted.k": "w", "security.k": ""}},
		"d/f": {Stat: rootfs.Stat{Mode: fs.ModeSetuid | 0o755}, Xattrs: map[string]string{"user.k": long}},
		"e/g": {Stat: rootfs.Stat{Mode: 0o644}, Size: 2},
	} {
		n, err := tree.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tree.Attributes(n)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
