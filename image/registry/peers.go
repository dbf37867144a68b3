package registry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/gitboot/gitboot/image/internal/credentials"
	"github.com/gitboot/gitboot/image/internal/exchange"
)

const (
	// worthwhile is how large a blob is that peers are looked for: less is had from a
	// registry in the second that this takes.
	worthwhile = 1 << 20
	// fresh is how long it counts who was found, and who was dropped.
	fresh = 10 * time.Minute
	// A peer that gives fewer bytes a second, or is silent for longer, is of no use.
	slowest        = 1 << 20
	longestSilence = 5 * time.Second
)

// Peers are machines of this network that give blobs to whoever asks. They are asked for
// large files of artifacts, before all mirrors, for nothing else and with no credentials.
// After its first failure one is asked no more, until they are looked for anew.
type Peers struct {
	// Look gives their addresses now, http://IP:PORT or https://IP:PORT.
	Look func(context.Context) ([]string, error)

	mu     sync.Mutex
	looked time.Time
	found  []*peer
}

type peer struct {
	// called is HOST:PORT, without a zone, which names of registries do not have.
	called string
	base   *exchange.Transport
}

// now are those that there are, looked for if that was not done lately.
func (p *Peers) now(ctx context.Context, log *slog.Logger) []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.looked.IsZero() && time.Since(p.looked) < fresh {
		return slices.Clone(p.found)
	}
	list, err := p.Look(ctx)
	if err != nil {
		log.Debug("no other machine of this network is asked", "error", err)
	}
	if ctx.Err() != nil {
		return nil
	}
	p.looked, p.found = time.Now(), nil
	for _, address := range list {
		at, err := url.Parse(address)
		if err != nil {
			continue
		}
		log.Info("another machine of this network is asked first for what has a digest", "address", address)
		called := zoneless(at.Host)
		p.found = append(p.found, &peer{called, exchange.Near(called, at)})
	}
	return slices.Clone(p.found)
}

// zoneless is a host without the link that a link-local address is on.
func zoneless(host string) string {
	at, err := netip.ParseAddrPort(host)
	if err != nil {
		return host
	}
	return netip.AddrPortFrom(at.Addr().WithZone(""), at.Port()).String()
}

// drop asks the one no more by whom a source is.
func (p *Peers) drop(source string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = slices.DeleteFunc(p.found, func(o *peer) bool { return strings.HasPrefix(source, o.called+"/") })
}

// endpoint is a repository as a peer has it. Nobody logs in.
func (p *peer) endpoint(repo name.Repository, timing exchange.Timing) (*endpoint, error) {
	r, err := name.NewRepository(p.called+"/"+repo.RepositoryStr(), name.Insecure)
	if err != nil {
		return nil, err
	}
	timing.Idle, timing.MinRate = min(timing.Idle, longestSilence), max(timing.MinRate, slowest)
	return &endpoint{repo: r, creds: credentials.Credentials{Note: "anonymous"}, base: p.base, timing: timing, client: &http.Client{Transport: p.base}}, nil
}

// near are a blob's sources among the peers.
func (b *remoteBlob) near(ctx context.Context) (list []*endpoint) {
	if b.peers == nil || b.size < worthwhile {
		return nil
	}
	repo := b.from.list[len(b.from.list)-1].repo // as the registry calls it
	for _, p := range b.peers.now(ctx, b.from.Log) {
		e, err := p.endpoint(repo, b.from.Timing)
		if err == nil && !b.lacks(e) {
			list = append(list, e)
		}
	}
	return list
}

// lacks reports whether it is known that a peer lacks the blob.
func (b *remoteBlob) lacks(e *endpoint) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lacking[e.String()]
}

func (b *remoteBlob) misses(e *endpoint) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lacking[e.String()] = true
}

// fromPeer opens the rest of the blob at the first peer that has it.
func (r *blobReader) fromPeer() bool {
	for ; len(r.peers) > 0; r.peers = r.peers[1:] {
		body, err := r.from(r.peers[0])
		if err == nil {
			r.body = body
			return true
		}
		r.leavePeer(err)
	}
	return false
}

// leavePeer notes that the peer that is being read has failed.
func (r *blobReader) leavePeer(why error) {
	e := r.peers[0]
	r.blob.from.Log.Debug("another machine of this network failed", "source", e.String(), "blob", r.blob.digest.Hex[:12], "error", why)
	var missing *exchange.NotFoundError
	switch {
	case r.ctx.Err() != nil: // that was not its fault
	case errors.As(why, &missing):
		r.blob.misses(e)
	default:
		r.blob.peers.drop(e.String())
	}
}
