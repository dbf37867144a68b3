package tarfs

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A layer is a case of the table. An item is a tar entry in short: "d name", "f name=content", "l name>target"
// for symbolic links, "h name>target" for hard links, "c name" for a character
// device 0/0, "p name" for a fifo. "!key=value" at the end sets an attribute.
type layer struct {
	name string
	in   []string
	// below is what lower layers have, for what the layer lacks; "m name>path"
	// is a folder that a link below leads to path.
	below []string
	// want is the output in the same form, with "D name" for opaque
	// directories; nil if the layer is to be refused with an error that
	// contains fails.
	want  []string
	fails string
}

func headerOf(item string) *tar.Header {
	item, attr, _ := strings.Cut(item, "!")
	hdr := &tar.Header{Mode: 0o644, ModTime: time.Unix(1, 0), Format: tar.FormatPAX, Name: item[2:]}
	if key, value, ok := strings.Cut(attr, "="); ok {
		hdr.PAXRecords = map[string]string{paxXattr + key: value}
	}
	sep := map[byte]string{'f': "=", 'l': ">", 'h': ">", 'm': ">"}[item[0]]
	var rest string
	if sep != "" {
		hdr.Name, rest, _ = strings.Cut(item[2:], sep)
	}
	switch item[0] {
	case 'd':
		hdr.Typeflag, hdr.Mode = tar.TypeDir, 0o750
	case 'm':
		hdr.Linkname = rest
	case 'f':
		hdr.Typeflag, hdr.Size = tar.TypeReg, int64(len(rest))
	case 'l':
		hdr.Typeflag, hdr.Linkname = tar.TypeSymlink, rest
	case 'h':
		hdr.Typeflag, hdr.Linkname = tar.TypeLink, rest
	case 'c':
		hdr.Typeflag = tar.TypeChar
	case 'p':
		hdr.Typeflag = tar.TypeFifo
	}
	return hdr
}

func build(t testing.TB, items []string) []byte {
	t.Helper()
	data := tryBuild(items)
	if data == nil {
		t.Fatalf("no tar can hold %q", items)
	}
	return data
}

// tryBuild makes a tar of items; nil if archive/tar refuses one.
func tryBuild(items []string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, item := range items {
		hdr := headerOf(item)
		if w.WriteHeader(hdr) != nil {
			return nil
		}
		_, content, _ := strings.Cut(item, "=")
		if _, err := io.WriteString(w, content[:hdr.Size]); err != nil {
			return nil
		}
	}
	if w.Close() != nil {
		return nil
	}
	return b.Bytes()
}

// describe turns an output into items.
func describe(t *testing.T, out []byte) []string {
	t.Helper()
	items := []string{}
	in := tar.NewReader(bytes.NewReader(out))
	for {
		hdr, err := in.Next()
		if err == io.EOF {
			return items
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, describeEntry(hdr, content))
	}
}

func describeEntry(hdr *tar.Header, content []byte) string {
	var attrs []string
	for key, value := range hdr.PAXRecords {
		if attr, ok := strings.CutPrefix(key, paxXattr); ok && attr != opaqueXattr {
			attrs = append(attrs, "!"+attr+"="+value)
		}
	}
	slices.Sort(attrs)
	tail := strings.Join(attrs, "")
	name := strings.TrimSuffix(hdr.Name, "/")
	switch hdr.Typeflag {
	case tar.TypeDir:
		kind := "d"
		if hdr.PAXRecords[paxXattr+opaqueXattr] == "y" {
			kind = "D"
		}
		if hdr.Mode == rootMode {
			kind += "*" // synthesised
		}
		return kind + " " + name + tail
	case tar.TypeReg:
		return "f " + name + "=" + string(content) + tail
	case tar.TypeSymlink:
		return "l " + name + ">" + hdr.Linkname + tail
	case tar.TypeLink:
		return "h " + name + ">" + hdr.Linkname + tail
	case tar.TypeChar:
		return fmt.Sprintf("c %s", name)
	case tar.TypeFifo:
		return "p " + name
	}
	return "? " + name
}

func TestRewrite(t *testing.T) {
	for _, c := range layers() {
		t.Run(c.name, func(t *testing.T) {
			out, _, err := rewrite(build(t, c.in), c.lend)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("error %v, want one with %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, describe(t, out)); diff != "" {
				t.Error(diff)
			}
			if err := check(out); err != nil {
				t.Error(err)
			}
		})
	}
}

// lend answers a lack by the item of its name.
func (c *layer) lend(rw *Rewriter, l Lack) error {
	for _, item := range c.below {
		hdr := headerOf(item)
		switch {
		case hdr.Name != l.Path:
		case item[0] == 'm':
			return rw.Move(l, hdr.Linkname)
		default:
			_, content, _ := strings.Cut(item, "=")
			return rw.Lend(l, hdr, func() (io.Reader, error) { return strings.NewReader(content[:hdr.Size]), nil })
		}
	}
	return nil
}
