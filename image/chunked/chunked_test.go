package chunked

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const (
	someDigest  = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	otherDigest = "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
)

func annotated(change ...string) map[string]string {
	a := map[string]string{tablePosition: "1000:200:3000:1", tableChecksum: someDigest, tarSplitPosition: "1208:100:900"}
	for i := 0; i < len(change); i += 2 {
		if a[change[i]] = change[i+1]; change[i+1] == "" {
			delete(a, change[i])
		}
	}
	return a
}

// What annotations say is taken where it can be true.
func TestOf(t *testing.T) {
	f, err := Of(annotated(), 2000)
	if want := (Form{Section{1000, 200, 3000}, Section{1208, 100, 900}, someDigest}); err != nil || f == nil || *f != want {
		t.Fatalf("%+v %v", f, err)
	}
	for what, a := range map[string]map[string]string{
		"none":              nil,
		"without tar-split": annotated(tarSplitPosition, ""),
		"without a table":   annotated(tablePosition, ""),
	} {
		if f, err := Of(a, 2000); f != nil || err != nil {
			t.Errorf("%s: %+v %v", what, f, err)
		}
	}
	for what, change := range map[string][]string{
		"no digest":           {tableChecksum, ""},
		"another digest":      {tableChecksum, "md5:00"},
		"a long digest":       {tableChecksum, someDigest + "00"},
		"three numbers":       {tablePosition, "1000:200:3000"},
		"five numbers":        {tablePosition, "1000:200:3000:1:1"},
		"another type":        {tablePosition, "1000:200:3000:2"},
		"no number":           {tablePosition, "1000:x:3000:1"},
		"negative":            {tablePosition, "-1:200:3000:1"},
		"no bytes":            {tablePosition, "1000:0:3000:1"},
		"beyond the blob":     {tablePosition, "1900:200:3000:1"},
		"far beyond":          {tablePosition, "9223372036854775807:200:3000:1"},
		"longer than it":      {tablePosition, "1:9223372036854775807:3000:1"},
		"1 GB of it":          {tablePosition, "1000:200:1000000000:1"},
		"tar-split beyond":    {tarSplitPosition, "1950:100:900"},
		"tar-split with four": {tarSplitPosition, "1208:100:900:1"},
		"tar-split too large": {tarSplitPosition, "1208:100:9000000000"},
	} {
		if f, err := Of(annotated(change...), 2000); err == nil {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if f, err := Of(annotated(tablePosition, "1000:40000000:3000:1"), 1e9); err == nil {
		t.Errorf("40 MB are held in memory: %+v", f)
	}
	if a := annotated(); !maps.Equal(a, annotated()) {
		t.Error("annotations were changed")
	}
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tableOf is one with entries, which are told in short.
func tableOf(entries ...string) string {
	return fmt.Sprintf(`{"version":1,"entries":[%s],"tarSplitDigest":%q}`, strings.Join(entries, ","), otherDigest)
}

const (
	folder = `{"type":"dir","name":"d/","mode":493}`
	empty  = `{"type":"reg","name":"d/e"}`
	small  = `{"type":"reg","name":"d/s","size":5,"digest":"` + someDigest + `","offset":10,"endOffset":20}`
	large  = `{"type":"reg","name":"d/l","size":9,"digest":"` + otherDigest + `","offset":30,"endOffset":60,"chunkSize":4,"chunkDigest":"` + someDigest + `"}`
	rest   = `{"type":"chunk","name":"d/l","offset":45,"chunkSize":5,"chunkOffset":4,"chunkDigest":"` + otherDigest + `"}`
)

// A table gives the files that have something, each with its chunks and where they end.
func TestRead(t *testing.T) {
	var got []string
	split, err := Read(packed(t, tableOf(folder, empty, small, large, rest, folder)), func(f File) error {
		line := fmt.Sprint(f.Name, " ", f.Size)
		for _, c := range f.Chunks {
			line += fmt.Sprintf(" %.9s %d-%d:%d", c.Digest, c.Offset, c.End, c.Size)
		}
		got = append(got, line)
		return nil
	})
	want := "d/s 5 sha256:01 10-20:5\nd/l 9 sha256:01 30-45:4 sha256:fe 45-60:5"
	if text := strings.Join(got, "\n"); err != nil || split != otherDigest || text != want {
		t.Errorf("%s %v\n%s", split, err, text)
	}
	stop := errors.New("stop")
	if _, err := Read(packed(t, tableOf(small, small)), func(File) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
}

// What a table cannot mean is refused.
func TestReadRefuses(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":                  "",
		"no JSON":                  "files",
		"a list":                   "[]",
		"cut":                      tableOf(small)[:100],
		"another version":          strings.Replace(tableOf(small), `"version":1`, `"version":2`, 1),
		"without tar-split":        `{"version":1,"entries":[]}`,
		"no list of entries":       `{"version":1,"entries":{},"tarSplitDigest":"` + someDigest + `"}`,
		"a chunk alone":            tableOf(rest),
		"a chunk of another":       tableOf(small, rest),
		"a chunk after a folder":   tableOf(large, folder, rest),
		"a chunk too many":         tableOf(large, rest, rest),
		"a chunk too few":          tableOf(large),
		"a chunk elsewhere":        tableOf(large, strings.Replace(rest, `"chunkOffset":4`, `"chunkOffset":5`, 1)),
		"a chunk that is too long": tableOf(large, strings.Replace(rest, `"chunkSize":5`, `"chunkSize":6`, 1)),
		"a chunk of no bytes":      tableOf(large, strings.Replace(rest, `"chunkSize":5`, `"chunkSize":0`, 1), rest),
		"a chunk of fewer":         tableOf(strings.Replace(large, `"chunkSize":4`, `"chunkSize":-4`, 1)),
		"a chunk that goes back":   tableOf(large, strings.Replace(rest, `"offset":45`, `"offset":25`, 1)),
		"an end before it":         tableOf(strings.Replace(small, `"endOffset":20`, `"endOffset":10`, 1)),
		"an offset of none":        tableOf(strings.Replace(small, `"offset":10`, `"offset":0`, 1)),
		"no digest":                tableOf(strings.Replace(small, someDigest, "", 1)),
		"a size of less":           tableOf(strings.Replace(small, `"size":5`, `"size":-5`, 1)),
	} {
		if _, err := Read(packed(t, text), func(File) error { return nil }); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	if _, err := Read([]byte("no zstd"), func(File) error { return nil }); err == nil {
		t.Error("what is not compressed is taken")
	}
}

// endless is a JSON text that does not end.
type endless struct{ given int }

func (e *endless) Read(p []byte) (int, error) {
	e.given += len(p)
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// A value that does not end is held up to a bound.
func TestReadBounds(t *testing.T) {
	for _, begins := range []string{`{"`, `{"x":"`, `{"entries":[{"name":"`, `{"version":1,"entries":[` + small + `,"`} {
		var e endless
		_, err := readTable(io.MultiReader(strings.NewReader(begins), &e), func(File) error { return nil })
		if err == nil || !strings.Contains(err.Error(), "a value of more than") || e.given > 2*maxValue {
			t.Errorf("%s: %v, after %d bytes", begins, err, e.given)
		}
	}
	many := strings.Repeat("{},", 1000)
	entries := io.MultiReader(strings.NewReader(`{"version":1,"entries":[`), repeated(many, maxEntries/1000+1))
	if _, err := readTable(entries, func(File) error { return nil }); err == nil || !strings.Contains(err.Error(), "entries") {
		t.Errorf("as many entries as somebody likes: %v", err)
	}
}

// repeated gives a text again and again.
func repeated(text string, n int) io.Reader {
	list := make([]io.Reader, n)
	for i := range list {
		list[i] = strings.NewReader(text)
	}
	return io.MultiReader(list...)
}

// Whatever a table says, what is given of it lies in order and adds up.
func FuzzRead(f *testing.F) {
	f.Add(tableOf(folder, empty, small, large, rest))
	f.Add(tableOf(large))
	f.Add("[]")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := readTable(strings.NewReader(text), func(file File) error {
			n, last := int64(0), int64(0)
			for _, c := range file.Chunks {
				if c.Size <= 0 || c.Offset <= 0 || c.Offset < last || c.End <= c.Offset {
					t.Errorf("%+v", c)
				}
				n, last = n+c.Size, c.End
			}
			if n != file.Size {
				t.Errorf("%d bytes of %d", n, file.Size)
			}
			return nil
		})
		if err == nil && !strings.Contains(text, "tarSplitDigest") {
			t.Error("a table without tar-split is taken")
		}
	})
}
