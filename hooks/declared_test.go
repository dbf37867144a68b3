package hooks

import (
	"archive/tar"
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/hooks/layer"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/squashed"
)

// imageOf makes a real layer of files: a path that ends in / is a folder, a
// content that begins with -> a link, and one that begins with a mode has that.
func imageOf(t *testing.T, files map[string]string) *rootfs.Tree {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	made := map[string]bool{}
	add := func(h *tar.Header, content string) {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	var folder func(p string)
	folder = func(p string) {
		if p = strings.TrimSuffix(p, "/"); p == "" || made[p] {
			return
		}
		made[p] = true
		folder(path.Dir(p))
		add(&tar.Header{Typeflag: tar.TypeDir, Name: p[1:] + "/", Mode: 0o755}, "")
	}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		content := files[p]
		folder(path.Dir(p))
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(p, "/"):
			folder(p)
		case link:
			add(&tar.Header{Typeflag: tar.TypeSymlink, Name: p[1:], Linkname: target}, "")
		default:
			h := &tar.Header{Typeflag: tar.TypeReg, Name: p[1:], Mode: 0o644, Size: int64(len(content))}
			if strings.HasPrefix(p, "/etc/") && strings.Contains(p, "shadow") {
				h.Mode, h.Gid = 0o640, 42
			}
			add(h, content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return squash(t, &buf)
}

func squash(t *testing.T, archive *bytes.Buffer) *rootfs.Tree {
	t.Helper()
	tree, err := rootfs.OpenTree([]string{squashed.File(t, archive)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

func TestRemove(t *testing.T) {
	root := imageOf(t, map[string]string{
		"/usr/lib/x": "x", "/lib": "-> usr/lib", "/etc/motd": "hello", "/etc/skel/.bashrc": "rc", "/etc/skel/.profile": "p", "/etc/empty": "",
	})
	e := mustRender(t, Input{Root: root, Hooks: []kind.Hook{
		{Name: "early", Files: []kind.File{{Path: "/etc/mine"}, {Path: "/etc/motd", Content: []byte("x")}}},
		{Name: "h",
			Removes: []string{"/etc/motd", "/lib/x", "/etc/skel", "/etc/mine", "/nowhere/at/all", "/etc/empty"},
			Files:   []kind.File{{Path: "/etc/skel/.zshrc", Content: []byte("z")}, {Path: "/etc/empty", Content: []byte("full")}}},
	}})
	wantEntry(t, e, "/etc/.wh.motd", "0 0000 0:0 ")
	wantEntry(t, e, "/usr/lib/.wh.x", "0 0000 0:0 ")
	wantEntry(t, e, "/etc/skel", "5 0755 0:0 ")
	wantEntry(t, e, "/etc/skel/.wh..wh..opq", "0 0000 0:0 ")
	wantEntry(t, e, "/etc/skel/.zshrc", "0 0644 0:0 z")
	wantEntry(t, e, "/etc/empty", "0 0644 0:0 full")
	for p := range e {
		if strings.Contains(p, "mine") || strings.Contains(p, "nowhere") || p == "/etc/motd" || p == "/etc/.wh.skel" || p == "/etc/.wh.empty" {
			t.Errorf("the layer has %s", p)
		}
	}
	e = mustRender(t, Input{Hooks: []kind.Hook{{Name: "h", Removes: []string{"/etc/motd"}}}})
	wantEntry(t, e, "/etc/.wh.motd", "0 0000 0:0 ")
}

func TestDirs(t *testing.T) {
	root := imageOf(t, map[string]string{"/srv/here/x": "", "/data": "-> srv"})
	e := mustRender(t, Input{Root: root, Hooks: []kind.Hook{{Name: "h", Dirs: []kind.Dir{
		{Path: "/srv/here", Mode: 0o2750, Owner: kind.Owner{UID: 7, GID: 8}},
		{Path: "/data/new"}, {Path: "/root"},
	}}}})
	wantEntry(t, e, "/srv/here", "5 2750 7:8 ")
	wantEntry(t, e, "/srv/new", "5 0755 0:0 ")
	wantEntry(t, e, "/root", "5 0700 0:0 ")
	_, _, err := renderInput(t, Input{Root: root, Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/srv/here"}}}}})
	wantError(t, err, "/srv/here", "remove it")
	e = mustRender(t, Input{Root: root, Hooks: []kind.Hook{{Name: "h", Removes: []string{"/srv/here"}, Files: []kind.File{{Path: "/srv/here"}}}}})
	wantEntry(t, e, "/srv/here", "0 0644 0:0 ")
}

// What a built-in reads is what the machine will have.
func TestLook(t *testing.T) {
	root := imageOf(t, map[string]string{
		"/usr/lib/a": "below", "/lib": "-> usr/lib", "/etc/b": "-> ../usr/lib/a", "/etc/gone": "", "/etc/abs": "-> /lib/a", "/round": "-> /round",
	})
	tree := layer.New(root, slog.New(slog.DiscardHandler))
	add := func(p, content string) {
		if err := tree.Files("h", []kind.File{{Path: p, Content: []byte(content)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Remove("/etc/gone", "h"); err != nil {
		t.Fatal(err)
	}
	add("/etc/new", "new")
	for p, want := range map[string]string{
		"/lib/a": "below", "/etc/b": "below", "/etc/abs": "below", "/etc/new": "new",
		"/etc/gone": "file does not exist", "/none": "file does not exist", "/round": "links go in circles",
	} {
		got, err := tree.Read(p)
		if text := string(got) + fmt.Sprint(err); !strings.Contains(text, want) {
			t.Errorf("%s: %q, %v", p, got, err)
		}
	}
	if names, err := tree.List("/etc"); fmt.Sprint(names) != "[abs b new]" || err != nil {
		t.Errorf("/etc has %v, %v", names, err)
	}
	add("/lib/a", "above")
	if got, err := tree.Read("/etc/b"); string(got) != "above" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}
