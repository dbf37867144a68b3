package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// TestServerThatInsistsOnMultiAck has git's own server behind one that, as
// Azure DevOps, answers 400 to who announces neither form of multi_ack.
func TestServerThatInsistsOnMultiAck(t *testing.T) {
	r := newRepo(t)
	server := newHTTPSServer(t, r)
	asked := 0
	server.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		asked++
		body, err := io.ReadAll(req.Body)
		if err != nil || !bytes.Contains(body, []byte("multi_ack")) {
			http.Error(w, "TF401020: multi_ack is required", http.StatusBadRequest)
			return true
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
		return false
	}
	follow(t, r, server.options(t, r))
	if asked != 2 {
		t.Errorf("%d requests for packs, want 2", asked)
	}
}

// TestManyAcks fetches where the server knows many of our commits, and says so
// one by one.
func TestManyAcks(t *testing.T) {
	r := newRepo(t)
	o := newHTTPSServer(t, r).options(t, r)
	r.commits(transport.MaxHaves + 10)
	applied := open(t, o).mustFetch(t, "").Hash
	next := r.commit("a", "last")
	if rev := open(t, o).mustFetch(t, applied); rev.Hash != next {
		t.Errorf("Fetch = %s, want %s", rev.Hash, next)
	}
	runGit(t, o.Dir, "fsck", "--strict")
}

// TestOtherServers meets what is at an address besides a git server.
func TestOtherServers(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	r.git("update-server-info")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	files := http.FileServer(http.Dir(filepath.Join(r.dir, ".git")))
	for want, handler := range map[string]http.HandlerFunc{
		"only hands out a repo's files": func(w http.ResponseWriter, req *http.Request) {
			req.URL.Path = strings.TrimPrefix(req.URL.Path, "/"+filepath.Base(r.dir))
			files.ServeHTTP(w, req)
		},
		"a web page answers there": func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			io.WriteString(w, "<html>sign in</html>")
		},
	} {
		server.instead = func(w http.ResponseWriter, req *http.Request) bool { handler(w, req); return true }
		var other *NoGitServerError
		if _, err := open(t, o).Remote(context.Background()); !errors.As(err, &other) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want: %s", err, want)
		}
	}
}

func TestTagAsBranch(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	r.git("tag", "v1")
	for name, o := range map[string]Options{"path": r.options(), "https": newHTTPSServer(t, r).options(t, r)} {
		o.Ref = "refs/heads/v1"
		var none *NoRefError
		if _, err := open(t, o).Remote(context.Background()); !errors.As(err, &none) || !strings.Contains(err.Error(), `"v1" is a tag`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPartialClone follows a repo that lacks old files' content: told, and
// followed once what was advised is done.
func TestPartialClone(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	r.commit("a", "2")
	r.git("config", "uploadpack.allowFilter", "true")
	dir := filepath.Join(t.TempDir(), "partial")
	r.git("clone", "-q", "--filter=blob:none", "file://"+r.dir, dir)
	o := r.options()
	o.URL = dir
	var partial *PartialError
	if _, err := open(t, o).Fetch(context.Background(), ""); !errors.As(err, &partial) || !strings.Contains(err.Error(), "fetch --refetch --no-filter") {
		t.Fatalf("partial clone: %v", err)
	}
	runGit(t, dir, "fetch", "-q", "--refetch", "--no-filter")
	open(t, o).mustFetch(t, "")
}

// TestSlowServerIsNotSilent fetches from a server that takes longer in all
// than it may be silent.
func TestSlowServerIsNotSilent(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	o.Timeout = 300 * time.Millisecond
	server.instead = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodPost {
			return false
		}
		answer := &slowAnswer{ResponseWriter: w, every: o.Timeout / 10}
		server.backend.ServeHTTP(answer, req)
		return true
	}
	began := time.Now()
	if rev := open(t, o).mustFetch(t, ""); rev.Hash != tip {
		t.Errorf("Fetch = %s, want %s", rev.Hash, tip)
	}
	if took := time.Since(began); took < o.Timeout {
		t.Fatalf("the server took %v only: this test shows nothing", took)
	}
}

// A slowAnswer sends a few bytes at a time.
type slowAnswer struct {
	http.ResponseWriter
	every time.Duration
}

func (w *slowAnswer) Write(p []byte) (int, error) {
	for i := 0; i < len(p); i += 16 {
		<-time.After(w.every)
		if _, err := w.ResponseWriter.Write(p[i:min(i+16, len(p))]); err != nil {
			return i, err
		}
		w.ResponseWriter.(http.Flusher).Flush()
	}
	return len(p), nil
}
