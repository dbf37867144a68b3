package script

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"
)

// A brokenRegistry is a registry that can be told to misbehave.
type brokenRegistry struct {
	server *httptest.Server

	mu    sync.Mutex
	fault string
	left  int // how many more answers are spoilt
	// refuse is the status that writing is answered with, 0 for none.
	refuse int
	// reader is asked for by all if it is set, and writer by who writes: the reader is
	// refused then.
	reader, writer login
	blobs          registry.BlobHandler
	inner          http.Handler
	log            []string
	held           chan struct{} // closed when an answer is being held
	ended          chan struct{} // closed when held answers may go on
}

// A login is a name and its password, of somebody whom all are if it is empty.
type login struct{ user, password string }

func loginOf(args []string) login { return login{args[1], args[2]} }

// The faults that `registry fault` knows, besides HTTP statuses.
const (
	cut     = "cut"     // a layer's connection is cut in its middle
	spoil   = "spoil"   // one byte of a layer is another one
	hold    = "hold"    // a layer stops in its middle until the client goes
	silence = "silence" // the request is read and never answered
)

var faults = []string{cut, spoil, hold, silence, "401", "403", "404", "429", "500", "503"}

func newRegistry() *brokenRegistry {
	r := &brokenRegistry{ended: make(chan struct{})}
	r.blobs = registry.NewInMemoryBlobHandler()
	r.forget()
	r.server = httptest.NewUnstartedServer(r.breaking())
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.Start()
	return r
}

// forget loses every manifest, and keeps the blobs.
func (r *brokenRegistry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inner = registry.New(registry.WithBlobHandler(r.blobs), registry.Logger(log.New(io.Discard, "", 0)))
}

func (r *brokenRegistry) addr() string { return strings.TrimPrefix(r.server.URL, "http://") }

// stop ends the registry, and lets go of held answers: whoever they are cut for and comes
// again is answered no more.
func (r *brokenRegistry) stop() {
	r.server.Listener.Close()
	r.server.CloseClientConnections()
	r.mu.Lock()
	select {
	case <-r.ended:
	default:
		close(r.ended)
	}
	r.mu.Unlock()
	r.server.Close()
}

// setFault makes the next n fitting answers faulty; n < 0 means all. The log
// of requests begins anew.
func (r *brokenRegistry) setFault(kind string, n int) error {
	if kind != "" && !slices.Contains(faults, kind) {
		return fmt.Errorf("there is no fault %q; there are %s", kind, strings.Join(faults, ", "))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault, r.left, r.refuse, r.log, r.held = kind, n, 0, nil, make(chan struct{})
	return nil
}

// take returns the fault of this request, "" for none, and what answers it
// without one. It logs the request.
func (r *brokenRegistry) take(req *http.Request) (string, http.Handler) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, strings.TrimSpace(req.Method+" "+req.URL.Path+" "+req.Header.Get("Range")))
	var who login
	who.user, who.password, _ = req.BasicAuth()
	if who != r.reader && (who != r.writer || r.writer == login{}) {
		return "", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusUnauthorized) })
	}
	status := r.refuse
	if status == 0 && r.writer != (login{}) && who != r.writer {
		status = http.StatusForbidden
	}
	if writes := req.Method != http.MethodGet && req.Method != http.MethodHead; writes && status != 0 {
		return r.fault, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { refuse(w, status) })
	}
	return r.fault, r.inner
}

// spend counts a faulty answer, and reports whether there was one left.
func (r *brokenRegistry) spend() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return false
	}
	r.left--
	return true
}

func (r *brokenRegistry) breaking() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		kind, inner := r.take(req)
		status, _ := strconv.Atoi(kind)
		pushing := req.Method != http.MethodGet && req.Method != http.MethodHead
		login := req.URL.Path == "/v2/" // says nothing of an image, so is never 404
		switch {
		case kind == "" || pushing || status == http.StatusNotFound && login:
			inner.ServeHTTP(w, req)
		case kind == cut || kind == spoil || kind == hold:
			inner.ServeHTTP(&tamperer{ResponseWriter: w, registry: r, req: req, kind: kind}, req)
		case !r.spend():
			inner.ServeHTTP(w, req)
		case kind == silence:
			r.wait(req)
		default:
			refuse(w, status)
		}
	})
}

func refuse(w http.ResponseWriter, status int) {
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, `{"errors":[{"code":"LAB","message":"this fault was asked for"}]}`, status)
}

// wait blocks until the client goes away or the script ends.
func (r *brokenRegistry) wait(req *http.Request) {
	select {
	case <-req.Context().Done():
	case <-r.ended:
	}
}

// A tamperer breaks an answer in its middle, if it is as long as a layer.
type tamperer struct {
	http.ResponseWriter
	registry *brokenRegistry
	req      *http.Request
	kind     string
	written  int
	done     bool
}

// shortest is the length in bytes from which on an answer is taken for a
// layer's.
const shortest = 64 << 10

func (t *tamperer) Write(p []byte) (int, error) {
	total, _ := strconv.Atoi(t.Header().Get("Content-Length"))
	at := total/2 - t.written
	if t.done || total < shortest || at >= len(p) || !t.registry.spend() {
		t.written += len(p)
		return t.ResponseWriter.Write(p)
	}
	t.done = true
	if t.kind == spoil {
		p = slices.Clone(p)
		p[at] ^= 1
		return t.ResponseWriter.Write(p)
	}
	if _, err := t.ResponseWriter.Write(p[:at]); err != nil {
		return 0, err
	}
	if err := http.NewResponseController(t.ResponseWriter).Flush(); err != nil {
		return 0, err
	}
	if t.kind == hold {
		close(t.registry.held)
		t.registry.wait(t.req)
	}
	panic(http.ErrAbortHandler)
}
