package partial

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/gitboot/gitboot/stage/contents"
	"github.com/gitboot/gitboot/tests/lab"
)

// A spoiler makes one byte of an answer another one.
type spoiler struct {
	http.ResponseWriter
	at, done int
}

func (s *spoiler) Write(p []byte) (int, error) {
	if i := s.at - s.done; i >= 0 && i < len(p) {
		p = bytes.Clone(p)
		p[i] ^= 1
	}
	s.done += len(p)
	return s.ResponseWriter.Write(p)
}

// A short answer ends early.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return s.ResponseWriter.Write(p)
}

// rangeOf is what a request asks for of a blob, 0 and false if that is all of it.
func rangeOf(r *http.Request) (n int, part bool) {
	var from, to int
	_, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to)
	return to - from + 1, err == nil
}

// Whatever a registry does, the layer is what it should be, and at worst pulled whole.
func TestPartsFaults(t *testing.T) {
	s := newShelf(t)
	first, second := layerTar(t), layerTar(t, 3, 11)
	other := newMachine(t)
	other.pull(t, s.push(t, second))
	want := other.had[0]
	var asked atomic.Int32
	for what, c := range map[string]struct {
		do func(w http.ResponseWriter, r *http.Request, n int) http.ResponseWriter
		// promises: the table of contents could be had; whole: the layer was pulled.
		promises, whole bool
		told            string
	}{
		"ranges are not known": {func(w http.ResponseWriter, r *http.Request, _ int) http.ResponseWriter {
			r.Header.Del("Range")
			return w
		}, false, true, "gives the whole when it is asked for a part"},
		"the table is another": {func(w http.ResponseWriter, _ *http.Request, n int) http.ResponseWriter {
			if n < 10_000 {
				return &spoiler{ResponseWriter: w, at: 100}
			}
			return w
		}, false, true, "which files it has cannot be read"},
		"a chunk is another, once": {func(w http.ResponseWriter, _ *http.Request, n int) http.ResponseWriter {
			if n > fileSize/2 && asked.Add(1) == 1 {
				return &spoiler{ResponseWriter: w, at: n / 2}
			}
			return w
		}, true, false, ""},
		"a chunk is another, always": {func(w http.ResponseWriter, _ *http.Request, n int) http.ResponseWriter {
			if n > 10_000 {
				return &spoiler{ResponseWriter: w, at: n - 1}
			}
			return w
		}, true, true, "is not what its table of contents says"},
		"cut, once": {func(w http.ResponseWriter, _ *http.Request, n int) http.ResponseWriter {
			if n > fileSize/2 && asked.Add(1) == 1 {
				return &short{w, fileSize / 3}
			}
			return w
		}, true, false, "resuming a blob"},
		"cut, always": {func(w http.ResponseWriter, _ *http.Request, n int) http.ResponseWriter {
			if n > 10_000 {
				return &short{w, 0}
			}
			return w
		}, true, true, "could not be put together of its parts"},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMachine(t)
			s.before = nil
			m.pull(t, s.push(t, first))
			ref := s.push(t, second)
			asked.Store(0)
			s.sent.Store(0)
			s.before = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if n, part := rangeOf(r); part && strings.Contains(r.URL.Path, "/blobs/") {
					w = c.do(w, r, n)
				}
				next.ServeHTTP(w, r)
			}
			promised := m.pull(t, ref)
			if m.had[0] != want {
				t.Errorf("it became %+v instead of %+v", m.had[0], want)
			}
			if whole := s.sent.Load() > fileCount*fileSize; (promised > 0) != c.promises || whole != c.whole || !strings.Contains(m.log.String(), c.told) {
				t.Errorf("%d bytes were promised, %d sent; told %s", promised, s.sent.Load(), &m.log)
			}
		})
	}
}

// A mirror that lies about chunks, or about the table as well, costs asking the registry for
// what was wrong.
func TestPartsLyingMirror(t *testing.T) {
	first, second := layerTar(t), layerTar(t, 3, 11)
	for what, from := range map[string]int{"about chunks": 10_000, "about all": 0} {
		t.Run(what, func(t *testing.T) {
			s, mirror, m, other := newShelf(t), newShelf(t), newMachine(t), newMachine(t)
			m.pull(t, s.push(t, first))
			ref := s.push(t, second)
			other.pull(t, ref)
			mirror.push(t, second)
			mirror.before = func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if n, part := rangeOf(r); part && n > from {
					w = &spoiler{ResponseWriter: w, at: n / 2}
				}
				next.ServeHTTP(w, r)
			}
			m.mirrors = []string{"http://" + mirror.Addr}
			s.sent.Store(0)
			promised, sent := m.pull(t, ref), s.sent.Load()
			if m.had[0] != other.had[0] || promised == 0 || sent == 0 || sent > promised+documents {
				t.Errorf("it became %+v instead of %+v; %d bytes were promised, %d sent by the registry; told %s", m.had[0], other.had[0], promised, sent, &m.log)
			}
			if mirror.sent.Load() == 0 || strings.Contains(m.log.String(), "pulled whole") {
				t.Errorf("the mirror has sent %d bytes; told %s", mirror.sent.Load(), &m.log)
			}
		})
	}
}

// What is on the stage is no better than a stranger: what was told of an object, and the
// object itself, may be damaged.
func TestPartsOfDamaged(t *testing.T) {
	s := newShelf(t)
	first, second := layerTar(t), layerTar(t, 3, 11)
	other := newMachine(t)
	other.pull(t, s.push(t, second))
	want := other.had[0]
	for what, c := range map[string]struct {
		damage func(m *machine) error
		told   string
	}{
		"its files are others": {func(m *machine) error {
			path := m.ObjectPath(m.had[0])
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, data, 0o600)
		}, "could not be put together of its parts"},
		"files have other names": {func(m *machine) error {
			return m.rewrite(func(table string) string { return strings.ReplaceAll(table, `"usr/`, `"opt/`) })
		}, "could not be put together of its parts"},
		"files are taken for each other": {func(m *machine) error {
			return m.rewrite(func(table string) string {
				return strings.NewReplacer(`"usr/05"`, `"usr/06"`, `"usr/06"`, `"usr/05"`).Replace(table)
			})
		}, "is not what was told of it"},
		"what was told is no table": {func(m *machine) error { return contents.Put(m.Stage, m.had[0], contents.Files, []byte("no table")) }, "is of no use"},
	} {
		t.Run(what, func(t *testing.T) {
			m := newMachine(t)
			m.pull(t, s.push(t, first))
			must(t, c.damage(m))
			m.pull(t, s.push(t, second))
			if m.had[0] != want || !strings.Contains(m.log.String(), c.told) {
				t.Errorf("it became %+v instead of %+v; told %s", m.had[0], want, &m.log)
			}
		})
	}
}

// rewrite changes what is told of the newest object.
func (m *machine) rewrite(change func(string) string) error {
	packed, err := contents.Of(m.Stage, m.had[0], contents.Files)
	if err != nil {
		return err
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		return err
	}
	defer d.Close()
	table, err := d.DecodeAll(packed, nil)
	if err != nil {
		return err
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		return err
	}
	return contents.Put(m.Stage, m.had[0], contents.Files, e.EncodeAll([]byte(change(string(table))), nil))
}

// An image's maker may say of a layer what is not true: what comes of it is not the layer,
// and nobody takes it.
func TestPartsThatLie(t *testing.T) {
	s := newShelf(t)
	m := newMachine(t)
	m.pull(t, s.push(t, layerTar(t)))
	honest := layerTar(t, 3)
	l, err := lab.Chunked(t.Context(), honest)
	must(t, err)
	other, err := lab.Chunked(t.Context(), layerTar(t, 5))
	must(t, err)
	// The blob and its table are of another layer than the diff id.
	l.Packed, l.Annotations = other.Packed, other.Annotations
	ref, _, err := s.Push(t.Context(), "desktop:1", nil, l)
	must(t, err)
	m.pull(t, ref)
	if !strings.Contains(m.log.String(), "is not what the image's configuration names") {
		t.Error(m.log.String())
	}
}
