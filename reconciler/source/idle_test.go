package source

import (
	"crypto/tls"
	"net/http"
	"sync/atomic"
	"testing"
)

// TestIdleLook looks at a server that has nothing new: that is one request, and a
// TLS session that is resumed.
func TestIdleLook(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	s := newHTTPSServer(t, r)
	// Both are counted before there is an answer. Bytes are not: what a server says at
	// the end of a connection may leave when the next look has begun.
	var requests, resumed atomic.Int64
	s.instead = func(_ http.ResponseWriter, req *http.Request) bool {
		requests.Add(1)
		if req.TLS.DidResume {
			resumed.Add(1)
		}
		return false
	}
	o := s.options(t, r)
	open(t, o).mustFetch(t, "")
	look := func(name string, want int64) {
		t.Helper()
		requests.Store(0)
		resumed.Store(0)
		open(t, o).mustFetch(t, tip)
		if requests.Load() != 1 || resumed.Load() != want {
			t.Errorf("%s: %d requests, %d of resumed sessions; want 1 and %d", name, requests.Load(), resumed.Load(), want)
		}
	}
	look("each for itself", 0)
	o.Sessions = tls.NewLRUClientSessionCache(0)
	look("the first", 0)
	look("the next", 1)
}
