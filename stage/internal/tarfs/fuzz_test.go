package tarfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"
)

// An answerer says what is below a layer.
type answerer func(*Rewriter, Lack) error

// answerAll answers, in a second round, for the folders to which others move.
func answerAll(rw *Rewriter, answer answerer) error {
	for range 2 {
		for _, l := range rw.Lacks() {
			if err := answer(rw, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// anything answers by the length of the path.
func anything(rw *Rewriter, l Lack) error {
	hdr := &tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, PAXRecords: map[string]string{paxXattr + opaqueXattr: "y"}}
	switch {
	case l.File:
		hdr.Typeflag, hdr.Size = tar.TypeReg, 1
		return rw.Lend(l, hdr, func() (io.Reader, error) { return strings.NewReader("x"), nil })
	case l.Path == "" || len(l.Path)%4 == 1:
		return nil
	case len(l.Path)%4 == 2 && !strings.HasPrefix(l.Path, "moved/"):
		return rw.Move(l, "moved/"+path.Base(l.Path))
	}
	return rw.Lend(l, hdr, nil)
}

func nothing(*Rewriter, Lack) error { return nil }

// rewrite runs a layer through a rewriter as the stage does.
func rewrite(layer []byte, answer answerer) ([]byte, Report, error) {
	rw := New(Bounds{})
	var out bytes.Buffer
	err := rw.Stream(&out, bytes.NewReader(layer))
	if err == nil {
		err = answerAll(rw, answer)
	}
	if err == nil && rw.Again() {
		out.Reset()
		err = rw.Replay(&out, bytes.NewReader(layer))
	}
	if err == nil {
		err = rw.Finish()
	}
	return out.Bytes(), rw.Report(), err
}

// check reports what the output must never be.
func check(out []byte) error {
	seen := make(map[string]byte)
	in := tar.NewReader(bytes.NewReader(out))
	for {
		hdr, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("archive/tar: %w", err)
		}
		n, err := io.Copy(io.Discard, in)
		if err != nil || n != hdr.Size {
			return fmt.Errorf("%q: %d bytes instead of %d: %v", hdr.Name, n, hdr.Size, err)
		}
		name := strings.TrimSuffix(hdr.Name, "/")
		if err := checkEntry(hdr, name, seen); err != nil {
			return fmt.Errorf("%q: %w", hdr.Name, err)
		}
		seen[name] = hdr.Typeflag
	}
	for name := range seen {
		if parent := path.Dir(name); seen[parent] != tar.TypeDir {
			return fmt.Errorf("%q: its parent is of type %q", name, seen[parent])
		}
	}
	return nil
}

func checkEntry(hdr *tar.Header, name string, seen map[string]byte) error {
	switch {
	case seen[name] != 0:
		return errors.New("comes twice")
	case name == "" || path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "../") || name == "..":
		return errors.New("is not clean and relative")
	case strings.HasPrefix(path.Base(name), whiteoutPrefix):
		return errors.New("is a marker")
	case hdr.Typeflag == tar.TypeLink && (seen[hdr.Linkname] == 0 || seen[hdr.Linkname] == tar.TypeDir || seen[hdr.Linkname] == tar.TypeLink):
		return fmt.Errorf("links to %q, of type %q", hdr.Linkname, seen[hdr.Linkname])
	case (hdr.Typeflag != tar.TypeReg || hdr.Size == 0) && name != "." && seen[path.Dir(name)] != tar.TypeDir:
		return errors.New("comes before its parent")
	}
	for key, value := range hdr.PAXRecords {
		attr, ok := strings.CutPrefix(key, paxXattr)
		if ok && strings.HasPrefix(attr, overlayXattrs) && (attr != opaqueXattr || value != "y" || name == ".") {
			return fmt.Errorf("has %s=%q", attr, value)
		}
	}
	return nil
}

func FuzzRewrite(f *testing.F) {
	for _, c := range layers() {
		f.Add(build(f, c.in))
	}
	f.Fuzz(checkRewrite)
}

func checkRewrite(t *testing.T, layer []byte) {
	for _, answer := range []answerer{nothing, anything} {
		checkAnswered(t, layer, answer)
	}
}

func checkAnswered(t *testing.T, layer []byte, answer answerer) {
	out, _, err := rewrite(layer, answer)
	if err != nil {
		return
	}
	if err := check(out); err != nil {
		t.Fatal(err)
	}
	twice, _, err := rewrite(layer, answer)
	if err != nil || !bytes.Equal(out, twice) {
		t.Fatalf("the output is not a function of the input (%v)", err)
	}
}

// FuzzItems fuzzes the order and kind of entries, which random bytes rarely
// reach: a tar's headers have checksums. Each line is an item.
func FuzzItems(f *testing.F) {
	for _, c := range layers() {
		f.Add(strings.Join(c.in, "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		var items []string
		for line := range strings.SplitSeq(text, "\n") {
			if len(line) > 2 && line[1] == ' ' && strings.IndexByte("dflhcp", line[0]) >= 0 && len(line) < 1000 {
				items = append(items, line)
			}
		}
		if layer := tryBuild(items); layer != nil {
			checkRewrite(t, layer)
		}
	})
}
