package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestPushFaults(t *testing.T) {
	noCredentials(t)
	for name, c := range map[string]struct {
		status int
		method string
		want   string
	}{
		"not logged in": {401, "POST", "refused access (401) with credentials: anonymous"},
		"no right":      {403, "POST", "pushing needs the right to write there"},
		"read-only":     {405, "POST", "it is read-only, or a mirror of another"},
		"no repository": {404, "POST", "the server answered 404; check the repository's name: some registries want it created first"},
		"too large":     {413, "PATCH", "a proxy before the registry limits"},
		"manifest":      {500, "PUT", "after 2 attempts"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder(t)
			r.deny = func(req *http.Request) int {
				if req.Method == c.method {
					return c.status
				}
				return 0
			}
			_, err := Push(t.Context(), upload(t, r.ref("desktop:1"), "one"), pushOptions())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "push "+r.ref("desktop:1")+": ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestPushToNobody(t *testing.T) {
	r := newRecorder(t)
	u := upload(t, r.ref("desktop:1"), "one")
	r.Close()
	if _, err := Push(t.Context(), u, pushOptions()); err == nil || !strings.HasSuffix(err.Error(), "connection refused; check that the registry runs and can be reached from here") {
		t.Errorf("got %v", err)
	}
}

// What was sent before something failed is known afterwards.
func TestPushTellsWhatItSent(t *testing.T) {
	r := newRecorder(t)
	r.deny = func(req *http.Request) int {
		if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/") {
			return 403
		}
		return 0
	}
	u := upload(t, r.ref("desktop:1"), "one", "two")
	out, err := Push(t.Context(), u, pushOptions())
	if err == nil || len(out.Blobs) != 2 || out.Blobs[0].Digest == "" || out.Blobs[1].Repository != r.ref("desktop") {
		t.Errorf("%+v, %v", out, err)
	}
}

// A registry that keeps its repositories apart is asked to take a base's layers
// over from the base's.
func TestPushMountsFromTheBase(t *testing.T) {
	r := newRecorder(t)
	first := mustPush(t, upload(t, r.ref("base:1"), "one"))
	mounts := 0
	inner := r.Config.Handler
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case req.URL.Query().Get("mount") == first.Blobs[0].Digest && req.URL.Query().Get("from") == "base":
			mounts++
			w.WriteHeader(http.StatusCreated)
		case req.Method == http.MethodHead && mounts == 0 && strings.Contains(req.URL.Path, first.Blobs[0].Digest):
			w.WriteHeader(http.StatusNotFound)
		default:
			inner.ServeHTTP(w, req)
		}
	})
	r.writes()
	u := upload(t, r.ref("child:1"), "one")
	u.Layers[0].Known = &first.Blobs[0]
	if mustPush(t, u); mounts != 1 || slices.ContainsFunc(r.writes(), func(s string) bool { return strings.HasPrefix(s, "PATCH") }) {
		t.Errorf("%d mounts", mounts)
	}
}

func TestPushIsTriedAgain(t *testing.T) {
	r := newRecorder(t)
	left := 1
	r.deny = func(req *http.Request) int {
		if req.Method == http.MethodPatch && left > 0 {
			left--
			return 503
		}
		return 0
	}
	if out := mustPush(t, upload(t, r.ref("desktop:1"), "one")); out.There || left != 0 {
		t.Errorf("%+v", out)
	}
}

func TestPushOfAFalseLayer(t *testing.T) {
	r := newRecorder(t)
	u := upload(t, r.ref("desktop:1"), "one")
	opened := 0
	u.Layers[0].Open = func(context.Context) (io.ReadCloser, error) {
		opened++
		return io.NopCloser(strings.NewReader("other")), nil
	}
	_, err := Push(t.Context(), u, pushOptions())
	var digest *DigestError
	if !errors.As(err, &digest) || opened != 1 {
		t.Errorf("opened %d times: %v", opened, err)
	}
	if _, err := Resolve(t.Context(), u.Ref, pushOptions()); err == nil {
		t.Error("it was published")
	}
}

func TestPushGoesToNoAddressOfTheRegistrysChoice(t *testing.T) {
	inner := newRecorder(t)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			w.Header().Set("Location", inner.URL+"/v2/x/blobs/uploads/1")
			w.WriteHeader(http.StatusAccepted)
			return
		}
		if req.URL.Path != "/v2/" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer evil.Close()
	_, err := Push(t.Context(), upload(t, strings.TrimPrefix(evil.URL, "http://")+"/x:1", "one"), pushOptions())
	if err == nil || !strings.Contains(err.Error(), "an address of this network") || len(inner.writes()) > 0 {
		t.Errorf("got %v", err)
	}
}

// Registries with tokens are asked for one that may write, and a login that runs
// out in the middle of a layer is made again.
func TestPushWithTokens(t *testing.T) {
	r := newRecorder(t)
	inner, tokens, expired := r.Config.Handler, 0, false
	r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/token" {
			if got := req.URL.Query().Get("scope"); got != "repository:desktop:push,pull" {
				t.Errorf("scope %q", got)
			}
			tokens++
			fmt.Fprintf(w, `{"token": "t%d"}`, tokens)
			return
		}
		late := req.Method == http.MethodPatch && !expired
		expired = expired || late
		if late || req.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", tokens) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="test"`, r.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, req)
	})
	if mustPush(t, upload(t, r.ref("desktop:1"), strings.Repeat("one", 1<<20))); tokens < 2 {
		t.Errorf("%d tokens", tokens)
	}
}
