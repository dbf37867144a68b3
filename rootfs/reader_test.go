package rootfs_test

import (
	"archive/tar"
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/tests/squashed"
)

// makeImage squashes a small tree with every kind of inode.
func makeImage(t testing.TB, compressor string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755},
		{Name: "opaque/", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: map[string]string{
			"SCHILY.xattr.security.selinux": "a", "SCHILY.xattr.security.ima": strings.Repeat("b", 300), "SCHILY.xattr.trusted.overlay.opaque": "y"}},
		{Name: "dir/link", Typeflag: tar.TypeSymlink, Linkname: "../big"},
		{Name: "dir/gone", Typeflag: tar.TypeChar},
		{Name: "dir/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		{Name: "dir/fifo", Typeflag: tar.TypeFifo},
		{Name: "big", Typeflag: tar.TypeReg, Mode: 0o644, Size: 300_001},
	} {
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content(int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	data, err := os.ReadFile(squashed.By(t, compressor, &b))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// content has parts that compress, parts that don't, and a hole.
func content(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range min(n, 100_000) {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestRead(t *testing.T) {
	for _, compressor := range []string{"zstd", "gzip"} {
		t.Run(compressor, func(t *testing.T) {
			r, err := rootfs.New(bytes.NewReader(makeImage(t, compressor)))
			if err != nil {
				t.Fatal(err)
			}
			root := inode(t, r, nil, "")
			dir := inode(t, r, &root, "dir")
			gone, null, link := inode(t, r, &dir, "gone"), inode(t, r, &dir, "null"), inode(t, r, &dir, "link")
			if !gone.IsWhiteout() || null.IsWhiteout() || link.Target != "../big" {
				t.Errorf("whiteout %v, null %#x, link %q", gone.IsWhiteout(), null.Device, link.Target)
			}
			hidden := inode(t, r, &root, "opaque")
			if o, err := r.IsOpaque(&hidden); !o || err != nil {
				t.Errorf("opaque: %v, %v", o, err)
			}
			if o, err := r.IsOpaque(&dir); o || err != nil {
				t.Errorf("plain directory is opaque: %v, %v", o, err)
			}
			big := inode(t, r, &root, "big")
			f, err := r.Open(&big)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, content(300_001)) {
				t.Errorf("read %d bytes, %v", len(got), err)
			}
			if _, ok, err := r.Lookup(&root, "nosuch"); ok || err != nil {
				t.Errorf("nosuch: %v, %v", ok, err)
			}
		})
	}
}

func inode(t *testing.T, r *rootfs.Reader, dir *rootfs.Inode, name string) rootfs.Inode {
	t.Helper()
	if dir == nil {
		root, err := r.Root()
		if err != nil {
			t.Fatal(err)
		}
		return root
	}
	i, ok, err := r.Lookup(dir, name)
	if !ok || err != nil {
		t.Fatalf("%s: %v, %v", name, ok, err)
	}
	return i
}

// FuzzReader changes bytes of a good file; nothing may panic or go on for
// ever.
func FuzzReader(f *testing.F) {
	image := makeImage(f, "gzip")
	f.Add(uint32(0), []byte("hsqs"))
	f.Add(uint32(32), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(len(image)-40), []byte{1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := bytes.Clone(image)
		copy(b[int(at)%len(b):], change)
		r, err := rootfs.New(bytes.NewReader(b))
		if err != nil {
			return
		}
		if root, err := r.Root(); err == nil {
			walk(r, &root, 3)
		}
	})
}

func walk(r *rootfs.Reader, dir *rootfs.Inode, depth int) {
	entries, err := r.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries[:min(len(entries), 20)] {
		i, err := r.Inode(e)
		if err != nil {
			continue
		}
		switch {
		case i.Mode().IsDir() && depth > 0:
			_, _ = r.IsOpaque(&i)
			walk(r, &i, depth-1)
		case i.Mode().IsRegular():
			if f, err := r.Open(&i); err == nil {
				_, _ = io.CopyN(io.Discard, f, 1<<20)
			}
		}
	}
}

// A file is read from any byte on as it is from its beginning: within a block, at its
// edge, in a hole, in the tail, at its end; and not from elsewhere.
func TestOpenAt(t *testing.T) {
	r, err := rootfs.New(bytes.NewReader(makeImage(t, "zstd")))
	if err != nil {
		t.Fatal(err)
	}
	root := inode(t, r, nil, "")
	big := inode(t, r, &root, "big")
	want := content(300_001)
	for _, off := range []int64{0, 1, 100_000, 131_071, 131_072, 131_073, 200_000, 262_144, 299_999, 300_001} {
		f, err := r.OpenAt(&big, off)
		if err != nil {
			t.Fatalf("%d: %v", off, err)
		}
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want[off:]) {
			t.Errorf("from %d on: %d bytes, %v", off, len(got), err)
		}
	}
	for _, off := range []int64{-1, 300_002} {
		if _, err := r.OpenAt(&big, off); err == nil {
			t.Errorf("byte %d is there", off)
		}
	}
}
