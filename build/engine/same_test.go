package engine

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"testing"
)

// packed is an image of one layer.
func packed(t *testing.T, diffID string, entries ...tar.Header) Image {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range entries {
		content := h.Uname // carries the content in these tests
		h.Uname = ""
		if h.Size = int64(len(content)); h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Image{Layers: []Layer{{DiffID: diffID, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}}}}
}

func TestSame(t *testing.T) {
	file := func(name, content string) tar.Header { return tar.Header{Name: name, Uname: content, Mode: 0o644} }
	base := []tar.Header{{Name: "var/log/", Typeflag: tar.TypeDir, Mode: 0o755}, file("usr/bin/x", "x"), file("etc/shadow", "ada:!:20000:0:99999:7:::\n")}
	first := packed(t, "first", base...)
	with := func(more ...tar.Header) Image { return packed(t, "second", append(base[:2:2], more...)...) }
	shadow := file("etc/shadow", "ada:!:20111:0:99999:7:::\n")
	for what, c := range map[string]struct {
		second Image
		same   bool
	}{
		"another day":         {with(shadow), true},
		"logs":                {with(shadow, file("var/log/dpkg.log", "now"), file("var/log/apt/history.log", "now")), true},
		"caches":              {with(shadow, file("./var/cache/ldconfig/aux-cache", "\x00"), file("var/cache/debconf/config.dat-old", "")), true},
		"a removed log":       {with(shadow, file("var/log/.wh.dpkg.log", ""), file("etc/.wh.passwd-", "")), true},
		"a password":          {with(file("etc/shadow", "ada:$y$j9T$x:20000:0:99999:7:::\n")), false},
		"a file":              {with(shadow, file("usr/bin/y", "y")), false},
		"a file less":         {packed(t, "second", base[0], shadow), false},
		"what looks like one": {with(shadow, file("srv/var/log/dpkg.log", "now")), false},
		"debconf's answers":   {with(shadow, file("var/cache/debconf/config.dat", "x")), false},
		"a mode":              {packed(t, "second", base[0], tar.Header{Name: "usr/bin/x", Uname: "x", Mode: 0o755}, shadow), false},
		"an owner":            {packed(t, "second", base[0], tar.Header{Name: "usr/bin/x", Uname: "x", Mode: 0o644, Uid: 1}, shadow), false},
		"an attribute":        {packed(t, "second", base[0], tar.Header{Name: "usr/bin/x", Uname: "x", Mode: 0o644, PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}}, shadow), false},
		"a link":              {packed(t, "second", base[0], tar.Header{Name: "usr/bin/x", Typeflag: tar.TypeSymlink, Linkname: "y", Mode: 0o644}, shadow), false},
		"a layer more":        {Image{Layers: append(with(shadow).Layers, first.Layers...)}, false},
	} {
		if same, err := Same(t.Context(), first, c.second); same != c.same || err != nil {
			t.Errorf("%s: %t %v", what, same, err)
		}
	}
	if _, err := Same(t.Context(), first, Image{Layers: []Layer{{DiffID: "cut", Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte("no tar"))), nil
	}}}}); err == nil {
		t.Error("a layer that cannot be read is equal or not")
	}
}
