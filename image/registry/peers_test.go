package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A giver is a server that notes what it was asked for.
type giver struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // path, range, and what was shown to be let in
}

func newGiver(t *testing.T, start func(http.Handler) *httptest.Server, answer http.HandlerFunc) *giver {
	g := &giver{}
	g.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")+" "+r.Header.Get("Authorization")))
		g.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

// times is how often it was asked for blobs.
func (g *giver) times() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, what := range g.asked {
		if strings.Contains(what, "/blobs/") {
			n++
		}
	}
	return n
}

func (g *giver) host() string { _, host, _ := strings.Cut(g.URL, "://"); return host }

// giving gives one blob, whole or in part.
func giving(blob []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" && !strings.HasSuffix(r.URL.Path, "/blobs/"+untrusted.SHA256(blob).String()) {
			http.NotFound(w, r)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(blob))
	}
}

// A house is a registry that has a file of an artifact, and peers.
type house struct {
	registry *giver
	looks    int
	file     Artifact
	blob     []byte
}

func newHouse(t *testing.T, size int, peer *giver, change func(*Options)) *house {
	t.Helper()
	h := &house{blob: someBlob(size)}
	h.registry = newGiver(t, httptest.NewServer, giving(h.blob))
	// There are credentials for both.
	auth := base64.StdEncoding.EncodeToString([]byte("ada:secret"))
	file := filepath.Join(t.TempDir(), "registries.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q},%q:{"auth":%q}}}`, h.registry.host(), auth, peer.host(), auth), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := Options{
		Insecure: true, CredentialsFile: file, Connections: &exchange.Connections{}, Log: slog.New(slog.DiscardHandler),
		Timing: exchange.Timing{Attempts: 1, Idle: 5 * time.Second}.WithDefaults(),
		Peers:  &Peers{Look: func(context.Context) ([]string, error) { h.looks++; return []string{peer.URL}, nil }},
		Given:  &Counter{},
	}
	if change != nil {
		change(&opts)
	}
	_, sources, err := NewSources(t.Context(), h.registry.host()+"/app:1", opts)
	if err != nil {
		t.Fatal(err)
	}
	h.file = Artifact{from: sources}
	return h
}

func someBlob(size int) []byte {
	blob := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(blob)
	return blob
}

func (h *house) fetch(ctx context.Context) error {
	body, err := h.file.Open(v1.Descriptor{Digest: untrusted.SHA256(h.blob), Size: int64(len(h.blob))})(ctx)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err == nil && !bytes.Equal(got, h.blob) {
		err = errors.New("other bytes than the registry's, and no error")
	}
	return err
}

const large = 3 << 20

// What is fetched twice, from a peer that does as described and a registry that has all.
func TestPeers(t *testing.T) {
	blob := someBlob(large)
	other := bytes.Clone(blob)
	other[large/2] ^= 1
	elsewhere := newGiver(t, httptest.NewServer, giving(blob))
	plain := httptest.NewServer
	for what, test := range map[string]struct {
		start          func(http.Handler) *httptest.Server
		answer         http.HandlerFunc
		peer, registry int  // how often they were asked for blobs
		lied           bool // the first time
	}{
		"has it":                  {plain, giving(blob), 2, 0, false},
		"has it, vouched by none": {httptest.NewTLSServer, giving(blob), 2, 0, false},
		"lacks it":                {plain, http.NotFound, 2, 2, false},
		"lies": {plain, func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(other))
		}, 1, 1, true},
		"is too short": {plain, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(blob[:large-1]) }, 1, 2, false},
		"has no end":   {plain, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(blob); _, _ = w.Write(blob) }, 1, 1, true},
		"wants a password": {plain, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+elsewhere.URL+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, 1, 2, false},
		"is busy": {plain, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, 1, 2, false},
		"names others": {plain, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, 1, 2, false},
		"is cut": {plain, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(large))
			_, _ = w.Write(blob[:2<<20])
			panic(http.ErrAbortHandler)
		}, 1, 2, false},
	} {
		t.Run(what, func(t *testing.T) {
			peer := newGiver(t, test.start, test.answer)
			h := newHouse(t, large, peer, nil)
			first, second := h.fetch(t.Context()), h.fetch(t.Context())
			if lied := errors.As(first, new(*untrusted.DigestError)); lied != test.lied || first != nil && !lied || second != nil {
				t.Errorf("fetched with %v and %v", first, second)
			}
			if peer.times() != test.peer || h.registry.times() != test.registry || h.looks != 1 {
				t.Errorf("the peer was asked %d times, the registry %d, and peers looked for %d times", peer.times(), h.registry.times(), h.looks)
			}
			if slices.ContainsFunc(peer.asked, func(s string) bool {
				return !strings.HasPrefix(s, "/v2/app/blobs/sha256:") || strings.Contains(s, "Basic")
			}) {
				t.Errorf("the peer was asked %q", peer.asked)
			}
			if len(elsewhere.asked) > 0 {
				t.Errorf("somebody else was asked %q", elsewhere.asked)
			}
		})
	}
}

// What a peer gave before it was cut is not fetched again.
func TestPeerIsContinuedByTheRegistry(t *testing.T) {
	blob := someBlob(large)
	peer := newGiver(t, httptest.NewServer, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(large))
		_, _ = w.Write(blob[:1<<20])
		panic(http.ErrAbortHandler)
	})
	h := newHouse(t, large, peer, nil)
	if err := h.fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := h.registry.asked[len(h.registry.asked)-1]
	if want := fmt.Sprintf(" bytes=%d-%d ", 1<<20, large-1); !strings.Contains(last, want) {
		t.Errorf("the registry was asked %q, not from%s", last, want)
	}
	if given, want := h.file.from.given.Now(), (Given{{Peer, peer.host()}: 1 << 20, {Own, h.registry.host()}: large - 1<<20}); !maps.Equal(given, want) {
		t.Errorf("given: %v, want %v", given, want)
	}
}

// A part of which somebody finds that it is wrong is had from another then.
func TestPeerGivesParts(t *testing.T) {
	peer := newGiver(t, httptest.NewServer, giving(someBlob(large)))
	h := newHouse(t, large, peer, nil)
	parts := h.file.Parts(v1.Descriptor{Digest: untrusted.SHA256(h.blob), Size: large})
	for _, from := range []*giver{peer, h.registry} {
		before := from.times()
		part, err := parts(t.Context(), 1000, 5000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(part)
		if err = errors.Join(err, part.Close()); err != nil || !bytes.Equal(got, h.blob[1000:6000]) || from.times() != before+1 {
			t.Errorf("%d bytes, %v, after %d questions", len(got), err, from.times())
		}
		part.Reject()
	}
}

// Nobody is looked for where that is of no use, or not meant.
func TestPeersAreNotLookedFor(t *testing.T) {
	peer := newGiver(t, httptest.NewServer, giving(someBlob(large)))
	small := newHouse(t, worthwhile-1, peer, nil)
	if err := small.fetch(t.Context()); err != nil || small.looks > 0 {
		t.Errorf("for a small blob: %v, looked %d times", err, small.looks)
	}
	here := newHouse(t, large, peer, func(o *Options) { o.Local = giving(someBlob(large)) })
	if err := here.fetch(t.Context()); err != nil || here.looks > 0 {
		t.Errorf("for what this process has: %v, looked %d times", err, here.looks)
	}
	whole := newHouse(t, large, peer, nil)
	body, err := whole.file.from.Blob(untrusted.SHA256(whole.blob), large)(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Close(); err != nil || whole.looks > 0 {
		t.Errorf("for an image's own layer: %v, looked %d times", err, whole.looks)
	}
}

// A look that fails is no failure.
func TestNobodyIsThere(t *testing.T) {
	peer := newGiver(t, httptest.NewServer, giving(someBlob(large)))
	h := newHouse(t, large, peer, func(o *Options) {
		o.Peers = &Peers{Look: func(context.Context) ([]string, error) { return nil, errors.New("no network") }}
	})
	if err := h.fetch(t.Context()); err != nil || h.registry.times() != 1 {
		t.Errorf("%v, and the registry was asked %d times", err, h.registry.times())
	}
}
