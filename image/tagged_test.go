package image

import (
	"net/http"
	"strings"
	"testing"
)

// A document under a tag of its own is what was published there last; what is of another
// kind, too long, or not what its digest says is refused.
func TestTaggedDocument(t *testing.T) {
	w := newWire(t)
	at := Document{Ref: w.at("steve/desktop:1"), Tag: "note-1", Type: "application/vnd.gitboot.note.v1+json"}
	fetch := func(limit int64) (string, bool, error) {
		data, found, err := FetchDocument(t.Context(), at, limit, quick())
		return string(data), found, err
	}
	if data, found, err := fetch(99); found || err != nil {
		t.Fatalf("before anything is there: %q, %v", data, err)
	}
	for _, text := range []string{`{"n":1}`, `{"n":2}`, `{"n":2}`} {
		check(t, PublishDocument(t.Context(), at, []byte(text), quick()))
		if data, found, err := fetch(99); data != text || !found || err != nil {
			t.Fatalf("%q, %t, %v", data, found, err)
		}
	}
	if _, _, err := fetch(3); err == nil {
		t.Error("a document has more bytes than it may have")
	}
	at.Type = "application/vnd.gitboot.other.v1+json"
	if _, _, err := fetch(99); err == nil || !strings.Contains(err.Error(), "holds no document of the type") {
		t.Errorf("of another type: %v", err)
	}
	at.Type = "application/vnd.gitboot.note.v1+json"
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = rw.Write([]byte(`{"n":3}`))
			return
		}
		next.ServeHTTP(rw, r)
	})
	if _, _, err := fetch(99); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("a registry that lies: %v", err)
	}
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			_, _ = rw.Write([]byte(strings.Repeat("[", 1000)))
			return
		}
		next.ServeHTTP(rw, r)
	})
	if _, found, err := fetch(99); found || err == nil {
		t.Errorf("a registry that answers nonsense: %t, %v", found, err)
	}
}
