package parcel

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A stick is a stranger's: what lies there as a link or a pipe is not there.
func TestOpenRegular(t *testing.T) {
	f := Folder(t.TempDir())
	must(t, os.MkdirAll(f.objects(), 0o700))
	secret := filepath.Join(t.TempDir(), "shadow")
	must(t, os.WriteFile(secret, []byte("of this machine"), 0o600))
	hash := func(digit string) string { return strings.Repeat(digit, 64) }
	must(t, os.Symlink(secret, filepath.Join(f.objects(), hash("1"))))
	must(t, unix.Mkfifo(filepath.Join(f.objects(), hash("2")), 0o600))
	must(t, os.Mkdir(filepath.Join(f.objects(), hash("3")), 0o700))
	must(t, os.WriteFile(filepath.Join(f.objects(), hash("4")), []byte("an object"), 0o600))
	must(t, os.Symlink(secret, f.listing()))
	for _, c := range []struct {
		digit string
		want  int
	}{{"1", http.StatusNotFound}, {"2", http.StatusNotFound}, {"3", http.StatusNotFound}, {"4", http.StatusOK}, {"5", http.StatusNotFound}} {
		w := httptest.NewRecorder()
		f.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/os/blobs/sha256:"+hash(c.digit), nil))
		if body, _ := io.ReadAll(w.Body); w.Code != c.want || strings.Contains(string(body), "of this machine") {
			t.Errorf("%s: %d %s", c.digit, w.Code, body)
		}
	}
	if _, err := f.finished(); err == nil {
		t.Error("a listing that is a link is read")
	}
}

// Only an empty folder, or one that is a parcel, is written to.
func TestBegin(t *testing.T) {
	dir := t.TempDir()
	f := Folder(filepath.Join(dir, "new"))
	must(t, f.begin())
	if _, err := f.finished(); err == nil || !strings.Contains(err.Error(), "not whole") {
		t.Errorf("what is not finished: %v", err)
	}
	must(t, f.begin())
	must(t, f.finish(Listing{Version: version, Machines: []string{"a"}}, nil))
	if l, err := f.finished(); err != nil || len(l.Machines) != 1 {
		t.Errorf("%+v, %v", l, err)
	}
	others := Folder(filepath.Join(dir, "others"))
	must(t, os.MkdirAll(others.repo(), 0o700))
	if err := others.begin(); err == nil {
		t.Error("somebody's repo is taken for a parcel's")
	}
	if _, err := os.Stat(others.repo()); err != nil {
		t.Error(err)
	}
}
