package vm

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// prefix is the folder of everything that the layers hold.
const prefix = "opt/lab/"

// An entry is a member of a layer, with defaults for what it doesn't say.
type entry struct {
	tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Name: prefix + name, Mode: 0o644}, content}
}

func dir(name string) entry {
	return entry{tar.Header{Name: prefix + name + "/", Typeflag: tar.TypeDir, Mode: 0o755}, ""}
}

func (e entry) mode(m int64) entry { e.Mode = m; return e }

func (e entry) xattr(key, value string) entry {
	e.PAXRecords = map[string]string{"SCHILY.xattr." + key: value}
	return e
}

// capSysChroot is security.capability for cap_sys_chroot=ep: struct
// vfs_cap_data, revision 2, of linux/capability.h.
const capSysChroot = "\x01\x00\x00\x02" + "\x00\x00\x04\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// lowerLayer has what the upper one takes away, and everything that a layer
// can hold. id and chroot are the image's own programs.
func lowerLayer(id, chroot string) []entry {
	owned := file("owned", "owned")
	owned.Uid, owned.Gid = 1234, 5678
	large := file("owned-large", "large")
	large.Uid, large.Gid = 3000000000, 3000000001
	return []entry{
		dir("gonedir"), file("gonedir/inside", "x"), file("gone", "x"),
		dir("opaque"), file("opaque/old", "old"),
		dir("dir-to-file"), file("dir-to-file/inside", "x"), file("file-to-dir", "x"),
		file("changed", "lower"), dir("kept"), file("kept/file", "lower"),
		file("link-a", "linked"),
		{tar.Header{Name: prefix + "link-b", Typeflag: tar.TypeLink, Linkname: prefix + "link-a"}, ""},
		file("half-a", "half"),
		{tar.Header{Name: prefix + "half-b", Typeflag: tar.TypeLink, Linkname: prefix + "half-a"}, ""},
		{tar.Header{Name: prefix + "symlink", Typeflag: tar.TypeSymlink, Linkname: "/opt/lab/changed"}, ""},
		file(fmt.Sprintf("%0200d", 7), "long"),
		owned.xattr("user.lab", "value"), large,
		dir("sticky").mode(0o1777),
		{tar.Header{Name: prefix + "fifo", Typeflag: tar.TypeFifo, Mode: 0o644}, ""},
		{tar.Header{Name: prefix + "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3}, ""},
		file("id", id).mode(0o4755),
		file("chroot-cap", chroot).mode(0o755).xattr("security.capability", capSysChroot),
		file("chroot-plain", chroot).mode(0o755),
		file("hooked", "image"), file("generation", "0"),
	}
}

// upperLayer takes away and replaces. Its opaque marker comes last, as some
// builders put it; others leave out the folders of lower layers, and what a hard
// link leads to.
func upperLayer() []entry {
	return []entry{
		file(".wh.gone", ""), file(".wh.gonedir", ""), file(".wh.half-a", ""),
		dir("opaque"), file("opaque/new", "new"), file("opaque/.wh..wh..opq", ""),
		file("dir-to-file", "file"),
		dir("file-to-dir"), file("file-to-dir/inside", "x"),
		file("changed", "upper"),
		file("sticky/inside", "x"),
		{tar.Header{Name: prefix + "owned-link", Typeflag: tar.TypeLink, Linkname: prefix + "owned"}, ""},
	}
}

func writeLayer(t *testing.T, path string, entries []entry) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	for _, e := range entries {
		h := e.Header
		h.Size, h.ModTime = int64(len(e.content)), time.Unix(1600000000, 0)
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// readTar returns the content of files of a tar.
func readTar(t *testing.T, path string, names ...string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := make(map[string]string)
	for r := tar.NewReader(f); len(found) < len(names); {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("look for %v in %s: %v", names, path, err)
		}
		for _, name := range names {
			if strings.TrimPrefix(h.Name, "./") == name {
				data, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				found[name] = string(data)
			}
		}
	}
	return found
}
