package unpacked

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
)

// layer makes a tar: "NAME/" is a folder, "NAME=TEXT" a file, "NAME>TARGET" a symbolic
// link, "NAME&TARGET" a hard link.
func layer(t testing.TB, entries string) io.Reader {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for e := range strings.FieldsSeq(entries) {
		h, text := &tar.Header{Mode: 0o755, Typeflag: tar.TypeDir, Name: e}, ""
		if name, content, ok := strings.Cut(e, "="); ok {
			h, text = &tar.Header{Mode: 0o644, Typeflag: tar.TypeReg, Name: name, Size: int64(len(content))}, content
		} else if name, target, ok := strings.Cut(e, ">"); ok {
			h = &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
		} else if name, target, ok := strings.Cut(e, "&"); ok {
			h = &tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &out
}

// list is a tree as such entries.
func list(n *Node) (out string) {
	for _, child := range n.Sorted() {
		switch f := child.File; f.Type {
		case tar.TypeDir:
			out += child.Path() + "/ " + list(child)
		case tar.TypeSymlink:
			out += child.Path() + ">" + f.Link() + " "
		default:
			out += fmt.Sprintf("%s=%s", child.Path(), f.Data())
			if f.Names > 1 {
				out += fmt.Sprintf("(%d)", f.Names)
			}
			out += " "
		}
	}
	return out
}

func TestLayersInOrder(t *testing.T) {
	for _, c := range []struct{ name, lower, upper, want string }{
		{"a file is replaced", "a/ a/f=1", "a/f=2", "a/ a/f=2"},
		{"a file goes", "a/ a/f=1 a/g=1", "a/.wh.f=", "a/ a/g=1"},
		{"a folder goes", "a/ a/b/ a/b/f=1", "a/.wh.b=", "a/"},
		{"a folder goes and comes", "a/ a/old=1", ".wh.a= a/ a/new=2", "a/ a/new=2"},
		{"comes before it goes", "a/ a/old=1", "a/ a/new=2 .wh.a=", "a/ a/new=2"},
		{"without its own entry", "a/ a/old=1", "a/new=2 .wh.a=", "a/ a/new=2"},
		{"opaque", "a/ a/old=1 a/b/ a/b/f=1", "a/ a/new=2 a/.wh..wh..opq=", "a/ a/new=2"},
		{"opaque, without its own entry", "a/ a/old=1", "a/.wh..wh..opq= a/new=2", "a/ a/new=2"},
		{"a folder becomes a file", "a/ a/f=1", "a=2", "a=2"},
		{"a file becomes a folder", "a=1", "a/ a/f=2", "a/ a/f=2"},
		{"a link becomes a folder", "b/ b/f=1 a>b", "a/ a/g=2", "a/ a/g=2 b/ b/f=1"},
		{"through a link", "usr/ usr/lib/ lib>usr/lib", "lib/f=2", "lib>usr/lib usr/ usr/lib/ usr/lib/f=2"},
		{"through an absolute link", "usr/ lib>/usr", "lib/f=2 lib/.wh.g=", "lib>/usr usr/ usr/f=2"},
		{"through a link that leads out", "lib>../../..", "lib/f=2", "f=2 lib>../../.."},
		{"hard links", "a=1 b&a", "c&a", "a=1(3) b=1(3) c=1(3)"},
		{"one name is replaced", "a=1 b&a", "a=2", "a=2 b=1"},
		{"one name goes", "a=1 b&a", ".wh.b=", "a=1"},
		{"a folder with one name goes", "a=1 d/ d/b&a", ".wh.d=", "a=1"},
		{"a link before its target", "x=0", "b&a a=1", "a=1(2) b=1(2) x=0"},
		{"a link before its target, which replaces another", "a=0", "b&a a=1", "a=1(2) b=1(2)"},
		{"no parents", "", "a/b/f=1", "a/ a/b/ a/b/f=1"},
		{"dots and slashes", "./ ./a/ /a//f=1", "", "a/ a/f=1"},
		{"what aufs keeps", ".wh..wh.plnk/ .wh..wh.plnk/f=1 a=1", "", "a=1"},
		{"a whiteout of nothing", "", ".wh.a= b/.wh.c=", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := New(func(string) bool { return true })
			for n, entries := range []string{c.lower, c.upper} {
				if _, err := tree.Add(n, layer(t, entries)); err != nil {
					t.Fatal(err)
				}
			}
			if got := strings.TrimSpace(list(tree.Root())); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for entries, want := range map[string]string{
		"../f=":                          `".."`,
		"a= a/f=":                        "is no folder",
		"l>l l/f=":                       "too many symbolic links",
		"a/ b&a":                         "hard link to the folder",
		"b&a":                            "not there",
		"a&b b&a":                        "not there",
		".wh.=":                          "a whiteout of no name",
		".wh.a/ .wh.a/f=":                "below a whiteout",
		strings.Repeat("a/", 300) + "f=": "folders deep",
		strings.Repeat("a", 256) + "=":   "longer than 255",
	} {
		if _, err := New(func(string) bool { return false }).Add(0, layer(t, entries)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", entries, err, want)
		}
	}
}

func TestFollow(t *testing.T) {
	tree := New(func(string) bool { return true })
	if _, err := tree.Add(0, layer(t, "usr/ usr/f=1 a>usr b>/a/g usr/g>f loop>loop dir>usr/")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a/f": "usr/f", "b": "usr/f", "usr/../b": "usr/f", "dir": "usr", "loop": "", "nothing": "", "nothing/f": "", "usr/f/x": ""} {
		got := ""
		if n := tree.Follow(path); n != nil {
			got = n.Path()
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", path, got, want)
		}
	}
}

// Whatever a layer says, reading it ends, and what is left is a tree.
func FuzzAdd(f *testing.F) {
	for _, seed := range []string{"a/ a/f=1", "a=1 b&a .wh.a=", "l>.. l/f=2 a/.wh..wh..opq=", "b&a a=1"} {
		data, err := io.ReadAll(layer(f, seed))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, data)
	}
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		tree := New(func(string) bool { return false })
		for n, data := range [][]byte{lower, upper} {
			if _, err := tree.Add(n, bytes.NewReader(data)); err != nil {
				return
			}
		}
		names := map[*File]int32{}
		var walk func(n *Node)
		walk = func(n *Node) {
			if n.Parent != nil && (n.Parent.Child(n.Name) != n || n.Name == "" || strings.Contains(n.Name, "/")) {
				t.Errorf("%q is not where it says", n.Path())
			}
			names[n.File]++
			for _, child := range n.Sorted() {
				walk(child)
			}
		}
		walk(tree.Root())
		for file, n := range names {
			if file.Names != n && file.Type != tar.TypeDir {
				t.Errorf("a file has %d names and says %d", n, file.Names)
			}
		}
	})
}
