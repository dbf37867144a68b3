// Package uploadpack gives the clone of a config repo to others, as a git server that
// nothing can be pushed to: git's smart HTTP in version 0 of its protocol, which every git
// speaks (its Documentation/gitprotocol-http and gitprotocol-pack).
//
//	GET  /info/refs?service=git-upload-pack   what there is
//	POST /git-upload-pack                     what somebody lacks of it
//
// What is packed in the clone is copied as it lies there: no git is needed on the machine,
// no differences are looked for, and nobody who writes to the clone is waited for. What is
// given is what was admitted last, all that it comes from, and its tags; who was told of
// what was admitted before that gets it as well. Who wants less than whole histories (depth,
// filters) is refused.
package uploadpack

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"time"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/gitboot/gitboot/reconciler/source/bare"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
)

const (
	// walks are how many histories are followed at once, which takes memory: about 100
	// bytes for each object. Others wait, for as long as patience lasts.
	walks    = 2
	patience = 15 * time.Second
	// A pack has to be found within beginning, and to leave at slowest, in bytes a second.
	beginning = 2 * time.Minute
	slowest   = 128 << 10
	// maxAsked bounds what somebody may ask with: 80,000 commits that they have.
	maxAsked = 4 << 20
)

// A Repo is what is given.
type Repo struct {
	// Dir is the clone, and Ref what it follows, as source.Options has it.
	Dir, Ref string
	Log      *slog.Logger
}

// Handler answers for a repo.
func (r Repo) Handler() http.Handler {
	s := &server{r, make(chan struct{}, walks)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info/refs", s.refs)
	mux.HandleFunc("POST /git-upload-pack", s.pack)
	return mux
}

type server struct {
	Repo
	walking chan struct{}
}

func (s *server) look() (bare.View, error) { return bare.Look(s.Dir, s.Ref) }

func (s *server) refs(w http.ResponseWriter, r *http.Request) {
	service := r.URL.Query().Get("service")
	if service != transport.UploadPackServiceName {
		http.Error(w, "git clone and git fetch are answered here, and nothing else", http.StatusForbidden)
		return
	}
	seen, err := s.look()
	if err != nil {
		s.fail(w, err)
		return
	}
	head(w, "advertisement")
	_ = advertised(seen).Encode(w)
}

func advertised(seen bare.View) *packp.AdvRefs {
	refs := packp.NewAdvRefs()
	refs.Prefix = [][]byte{[]byte("# service=" + transport.UploadPackServiceName), pktline.Flush}
	for _, c := range []capability.Capability{capability.MultiACKDetailed, capability.Sideband64k, capability.OFSDelta, capability.Shallow, capability.NoProgress} {
		_ = refs.Capabilities.Set(c) // fails for what takes a value
	}
	if seen.Tip.IsZero() {
		return refs
	}
	_ = refs.Capabilities.Set(capability.SymRef, "HEAD:"+seen.Branch)
	refs.Head = &seen.Tip
	refs.References[seen.Branch] = seen.Tip
	for _, t := range seen.Tags {
		refs.References[t.Name] = t.Object(seen.Tip)
		if t.Content != nil {
			refs.Peeled[t.Name] = seen.Tip
		}
	}
	refs.Shallows = seen.Shallow
	return refs
}

func (s *server) pack(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/x-git-upload-pack-request" {
		http.Error(w, "this is for git", http.StatusUnsupportedMediaType)
		return
	}
	body, err := content(w, r)
	if err != nil {
		http.Error(w, "the request is no gzip", http.StatusBadRequest)
		return
	}
	asked, err := parse(body)
	if err != nil {
		refuse(w, err)
		return
	}
	select {
	case s.walking <- struct{}{}:
		defer func() { <-s.walking }()
	case <-time.After(patience):
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many are answered at once", http.StatusServiceUnavailable)
		return
	case <-r.Context().Done():
		return
	}
	s.answer(w, r, asked)
}

// answer gives somebody what they lack. It is given up when they take it too slowly.
func (s *server) answer(w http.ResponseWriter, r *http.Request, asked request) {
	seen, err := s.look()
	if err != nil {
		s.fail(w, err)
		return
	}
	if len(asked.wants) == 0 {
		head(w, "result")
		return
	}
	if seen.Tip.IsZero() {
		refuse(w, notOurs(asked.wants[0]))
		return
	}
	tags, err := tagged.All(s.Dir)
	if err != nil {
		s.fail(w, err)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	from, err := pack.Open(ctx, filepath.Join(s.Dir, "objects"))
	if err != nil {
		s.fail(w, err)
		return
	}
	defer from.Close()
	for _, t := range tags {
		from.Lend(t.Content)
	}
	limit := beginning + time.Duration(from.Packed()/slowest)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(limit))
	defer time.AfterFunc(limit, cancel).Stop()
	if err := asked.answer(ctx, w, seen.Tip, asked.roots(tags), from); err != nil && r.Context().Err() == nil {
		s.Log.Warn("the config repo could not be given to another machine", "to", r.RemoteAddr, "error", err)
	}
}

func content(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	body := http.MaxBytesReader(w, r.Body, maxAsked)
	if r.Header.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(body)
	return io.LimitReader(z, maxAsked), err
}

func head(w http.ResponseWriter, kind string) {
	w.Header().Set("Content-Type", "application/x-"+transport.UploadPackServiceName+"-"+kind)
	w.Header().Set("Cache-Control", "no-cache")
}

// refuse tells somebody's git why not.
func refuse(w http.ResponseWriter, why error) {
	head(w, "result")
	_ = pktline.NewEncoder(w).Encodef("ERR %s\n", why)
}

// fail hides from others what fails here.
func (s *server) fail(w http.ResponseWriter, err error) {
	s.Log.Warn("the config repo cannot be given to other machines", "error", err)
	http.Error(w, "the repo cannot be read", http.StatusInternalServerError)
}

var errWhole = errors.New("histories are given whole: leave out --depth and --filter")
