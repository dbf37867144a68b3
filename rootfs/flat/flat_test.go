package flat

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/squashed"
)

type entry struct {
	tar.Header
	content string
}

// pack writes a tar of entries.
func pack(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.Header
		h.Size, h.Format = int64(len(e.content)), tar.FormatPAX
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1_000_000_000, 0)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree makes a layer of each tar, the lowest first.
func tree(t *testing.T, tars ...[]byte) *rootfs.Tree {
	t.Helper()
	var layers []string
	for _, data := range tars {
		layers = append(layers, squashed.File(t, bytes.NewReader(data)))
	}
	joined, err := rootfs.OpenTree(layers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { joined.Close() })
	return joined
}

func read(t *testing.T, data []byte) (out []entry) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry{*h, string(content)})
	}
}

// What went into layers comes out, joined: whiteouts and what they hide do not.
func TestWrite(t *testing.T) {
	dir := func(name string) entry {
		return entry{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}}
	}
	lower := []entry{
		{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}},
		dir("./bin/"),
		{tar.Header{Typeflag: tar.TypeReg, Name: "./bin/ping", Mode: 0o755, Uid: 1, Gid: 70000, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02x", "SCHILY.xattr.user.k": "v"}}, "ping"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./bin/su", Mode: 0o4755}, strings.Repeat("su", 300_000)},
		{Header: tar.Header{Typeflag: tar.TypeLink, Name: "./bin/sudo", Linkname: "./bin/su"}},
		dir("./dev/"),
		{Header: tar.Header{Typeflag: tar.TypeChar, Name: "./dev/tty300", Mode: 0o620, Gid: 5, Devmajor: 4, Devminor: 300}},
		{Header: tar.Header{Typeflag: tar.TypeFifo, Name: "./dev/fifo", Mode: 0o600}},
		dir("./etc/"),
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/hidden", Mode: 0o644}, "x"},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/motd", Mode: 0o644}, "lower"},
		{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: "./etc/os-release", Linkname: "../usr/lib/os-release", Mode: 0o777}},
		dir("./opaque/"),
		{tar.Header{Typeflag: tar.TypeReg, Name: "./opaque/old", Mode: 0o644}, "x"},
		{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./tmp/", Mode: 0o1777}},
	}
	upper := []entry{
		dir("./"), dir("./etc/"),
		{Header: tar.Header{Typeflag: tar.TypeChar, Name: "./etc/hidden"}},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./etc/motd", Mode: 0o600, ModTime: time.Unix(1_100_000_000, 0)}, "upper"},
		{Header: tar.Header{Typeflag: tar.TypeDir, Name: "./opaque/", Mode: 0o750, PAXRecords: map[string]string{"SCHILY.xattr.trusted.overlay.opaque": "y"}}},
		{tar.Header{Typeflag: tar.TypeReg, Name: "./opaque/new", Mode: 0o644}, "new"},
	}
	joined := tree(t, pack(t, lower...), pack(t, upper...))
	var first, second bytes.Buffer
	for _, to := range []*bytes.Buffer{&first, &second} {
		if sockets, err := Write(t.Context(), to, joined); err != nil || sockets != 0 {
			t.Fatal(sockets, err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two tars of one tree differ")
	}
	got := map[string]entry{}
	for _, e := range read(t, first.Bytes()) {
		got[e.Name] = e
	}
	wanted := map[string]entry{}
	for _, e := range read(t, pack(t, append(lower, upper...)...)) {
		wanted[e.Name] = e
	}
	for _, hidden := range []string{"./etc/hidden", "./opaque/old"} {
		delete(wanted, hidden)
	}
	for name, e := range wanted {
		is := got[name]
		if e.Typeflag == tar.TypeLink {
			e.Mode, e.ModTime = is.Mode, is.ModTime // the first name's say it
		}
		delete(e.PAXRecords, "SCHILY.xattr.trusted.overlay.opaque")
		for _, x := range []*entry{&e, &is} {
			x.Format, x.Xattrs = 0, nil
			if len(x.PAXRecords) == 0 {
				x.PAXRecords = nil
			}
		}
		if !reflect.DeepEqual(is, e) {
			t.Errorf("%s is\n%+v, want\n%+v", name, is.Header, e.Header)
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s came from nowhere", name)
	}
}

// What is read of a layer that is damaged, and a wish to end, end it.
func TestWriteEnds(t *testing.T) {
	layer := pack(t, entry{tar.Header{Typeflag: tar.TypeReg, Name: "./a", Mode: 0o644}, "a"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Write(ctx, io.Discard, tree(t, layer)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	if _, err := Write(t.Context(), full, tree(t, layer)); err == nil {
		t.Error("a full disk is not noticed")
	}
}
