package source

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

const token = "ghp_verySecretToken"

// An httpsServer is git's own http-backend behind TLS and a token.
type httpsServer struct {
	*httptest.Server
	backend http.Handler
	// instead answers a request in the backend's place, where it is set.
	instead func(w http.ResponseWriter, r *http.Request) bool
}

func newHTTPSServer(t *testing.T, r *repo) *httpsServer {
	t.Helper()
	s := &httpsServer{backend: &cgi.Handler{
		Path:   filepath.Join(runGit(t, r.dir, "--exec-path"), "git-http-backend"),
		Env:    append(gitEnv(), "GIT_PROJECT_ROOT="+filepath.Dir(r.dir), "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: io.Discard,
		Logger: log.New(io.Discard, "", 0), // it tells that we hang up
	}}
	s.Server = httptest.NewTLSServer(s)
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

func (s *httpsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.instead != nil && s.instead(w, r) {
		return
	}
	if _, password, _ := r.BasicAuth(); password != token {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	s.backend.ServeHTTP(w, r)
}

func (s *httpsServer) options(t *testing.T, r *repo) Options {
	t.Helper()
	o := r.options()
	o.URL = s.URL + "/" + filepath.Base(r.dir)
	o.TokenFile = filepath.Join(t.TempDir(), "token")
	writeFile(t, o.TokenFile, token+"\n")
	o.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, o.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return o
}

func TestFollowHTTPS(t *testing.T) {
	r := newRepo(t)
	follow(t, r, newHTTPSServer(t, r).options(t, r))
}

func TestHTTPSRefusals(t *testing.T) {
	ctx := context.Background()
	r := newRepo(t)
	server := newHTTPSServer(t, r)
	good := server.options(t, r)
	var empty *EmptyError
	if _, err := open(t, good).Remote(ctx); !errors.As(err, &empty) {
		t.Errorf("empty repo: %v", err)
	}
	r.commit("a", "1")

	o := good
	writeFile(t, o.TokenFile, "wrong-token")
	var auth *AuthError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &auth) || !strings.Contains(err.Error(), o.TokenFile) || strings.Contains(err.Error(), "wrong-token") {
		t.Errorf("wrong token: %v", err)
	}
	o.TokenFile = ""
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &auth) || auth.With != "no token file" {
		t.Errorf("no token: %v", err)
	}
	writeFile(t, good.TokenFile, token)

	o = good
	o.CAFile = ""
	var unreachable *UnreachableError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "set ca_file") {
		t.Errorf("unknown CA: %v", err)
	}
	o = good
	o.URL += "-gone"
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "no such repo") {
		t.Errorf("missing repo: %v", err)
	}
	o = good
	o.Ref = "refs/heads/mian"
	var branch *NoRefError
	if _, err := open(t, o).Remote(ctx); !errors.As(err, &branch) || fmt.Sprint(branch.There) != "[main]" {
		t.Errorf("missing branch: %v", err)
	}
}

// TestTokenIsNotRepeated has servers that throw the credentials back.
func TestTokenIsNotRepeated(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	for _, status := range []int{400, 401, 403, 404, 429, 500} {
		server.instead = func(w http.ResponseWriter, r *http.Request) bool {
			_, password, _ := r.BasicAuth()
			http.Error(w, "\x1b[2J"+password+" "+r.Header.Get("Authorization"), status)
			return true
		}
		_, err := open(t, o).Remote(context.Background())
		if err == nil || strings.Contains(err.Error(), token) || strings.ContainsAny(err.Error(), "\x1b\n") || strings.Contains(err.Error(), "Z2l0O") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestTokenIsNotSentElsewhere redirects to another host.
func TestTokenIsNotSentElsewhere(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1")
	var seen string
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		http.NotFound(w, r)
	}))
	defer thief.Close()
	server := newHTTPSServer(t, r)
	server.instead = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, thief.URL+r.URL.RequestURI(), http.StatusFound)
		return true
	}
	if _, err := open(t, server.options(t, r)).Remote(context.Background()); err == nil || seen != "" {
		t.Errorf("after a redirect: %v, and %q was sent", err, seen)
	}
}

// A cutter ends the connection after some bytes of an answer.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

// TestCutTransfer ends the connection in the middle of a pack.
func TestCutTransfer(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	server := newHTTPSServer(t, r)
	o := server.options(t, r)
	open(t, o).mustFetch(t, "")
	second := r.commit("b", strings.Repeat("many different words ", 1000))
	server.instead = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			server.backend.ServeHTTP(&cutter{w, 200}, r)
			return true
		}
		return false
	}
	if _, err := open(t, o).Fetch(context.Background(), first); err == nil {
		t.Fatal("a cut transfer succeeded")
	}
	server.instead = nil
	s := open(t, o)
	if s.clone.Head().String() != first {
		t.Errorf("HEAD = %s after the cut, want %s", s.clone.Head(), first)
	}
	if left, err := s.clone.Leftovers(); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if got := s.mustFetch(t, first).Hash; got != second {
		t.Errorf("the next Fetch = %s, want %s", got, second)
	}
}
