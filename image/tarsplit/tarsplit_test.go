package tarsplit

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// split writes a tar-split file of entries.
func split(t *testing.T, entries ...splitEntry) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, e := range entries {
		if err := json.NewEncoder(z).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "tar-split.gz")
	if err := errors.Join(z.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFromFolder(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o700), os.WriteFile(filepath.Join(dir, "d", "f"), []byte("content"), 0o600),
		os.WriteFile(filepath.Join(dir, "\xff"), []byte("bytes"), 0o600), os.Symlink("/etc", filepath.Join(dir, "out"))); err != nil {
		t.Fatal(err)
	}
	head, pad := splitEntry{Type: splitSegment, Payload: []byte("<head>")}, splitEntry{Type: splitSegment, Payload: []byte("<pad>")}
	file := func(name string, size int64) splitEntry { return splitEntry{Type: splitFile, Name: name, Size: size} }
	for what, c := range map[string]struct {
		entries []splitEntry
		want    string // the tar, or a part of the error
	}{
		"files":             {[]splitEntry{head, file("./d/f", 7), pad, file("/d/", 0), {Type: splitFile, NameRaw: []byte("\xff"), Size: 5}, pad}, "<head>content<pad>bytes<pad>"},
		"nothing":           {nil, ""},
		"a file cut short":  {[]splitEntry{file("d/f", 9)}, "d/f has 7 bytes of 9"},
		"a file that lacks": {[]splitEntry{file("d/g", 1)}, "no such file"},
		"a way out":         {[]splitEntry{file("out/passwd", 1)}, "escapes"},
		"a way up":          {[]splitEntry{file("../../etc/passwd", 1)}, "no such file"},
	} {
		in, err := FromFolder(t.Context(), split(t, c.entries...), dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		if err == nil && string(got) != c.want || err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %q, %v; want %q", what, got, err, c.want)
		}
		in.Close()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	in, err := FromFolder(ctx, split(t, head), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := io.ReadAll(in); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, err := FromFolder(t.Context(), filepath.Join(dir, "none"), dir); err == nil || !strings.Contains(err.Error(), "build again") {
		t.Errorf("a layer that lacks its archive: %v", err)
	}
}
