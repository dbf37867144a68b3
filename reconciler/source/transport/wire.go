package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// MaxHaves is how many of our newest commits a server is told, so that it
// sends only what came after them.
const MaxHaves = 256

// go-git leaves out capabilities that some servers insist on: Azure DevOps
// answers 400 to who does not announce multi_ack_detailed. It reads their
// several ACKs well as long as all that we have is told in one go, and done
// with it, as here. Thin packs are not for us: the clone's packs are whole.
// The list is go-git's own, for all transports of a program.
func init() { transport.UnsupportedCapabilities = []capability.Capability{capability.ThinPack} }

// A Session is one conversation with a server: it speaks git's pack protocol, version 0 (git's
// Documentation/gitprotocol-pack), over a transport.
type Session struct {
	refs  *packp.AdvRefs
	pack  func(context.Context, *packp.UploadPackRequest) (io.ReadCloser, error)
	close func() error
}

// Close hangs up.
func (s *Session) Close() error { return s.close() }

// Refs are those that the server says it has.
func (s *Session) Refs() ref.Refs { return ref.Refs{Names: s.refs.References, Peeled: s.refs.Peeled} }

// Shallow lists the commits whose parents the server says it lacks.
func (s *Session) Shallow() ([]plumbing.Hash, error) { return s.refs.Shallows, nil }

// Fetch brings what into lacks of want and its history, or whole, all of that.
func (s *Session) Fetch(ctx context.Context, want plumbing.Hash, into Into, whole bool) error {
	req := packp.NewUploadPackRequestFromCapabilities(s.refs.Capabilities)
	if s.refs.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return err
		}
	}
	req.Wants = s.wants(want)
	if !whole {
		var err error
		if req.Haves, err = into.Newest(ctx, MaxHaves); err != nil {
			return err
		}
	}
	res, err := s.pack(ctx, req)
	if err != nil {
		return err
	}
	defer res.Close()
	return into.Receive(ctx, func(w io.Writer) error {
		_, err := io.CopyBuffer(w, demux(req.Capabilities, res), make([]byte, 64<<10))
		return err
	})
}

// wants are what has to be asked for to get an object: it alone, or all branches
// and tags, where the server gives none that no ref names.
func (s *Session) wants(object plumbing.Hash) []plumbing.Hash {
	for _, c := range []capability.Capability{capability.AllowReachableSHA1InWant, "allow-any-sha1-in-want"} {
		if s.refs.Capabilities.Supports(c) {
			return []plumbing.Hash{object}
		}
	}
	all := map[plumbing.Hash]bool{}
	for name, hash := range s.refs.References {
		if hash == object {
			return []plumbing.Hash{object}
		}
		if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
			all[hash] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
}

func demux(caps *capability.List, r io.Reader) io.Reader {
	var d *sideband.Demuxer
	switch {
	case caps.Supports(capability.Sideband64k):
		d = sideband.NewDemuxer(sideband.Sideband64k, r)
	case caps.Supports(capability.Sideband):
		d = sideband.NewDemuxer(sideband.Sideband, r)
	default:
		return r
	}
	d.Progress = &chatter{}
	return d
}

// readRefs decodes what a server says first. A repo without commits says so
// in one of several ways, by the server's age.
func readRefs(r io.Reader, url string) (*packp.AdvRefs, error) {
	refs := packp.NewAdvRefs()
	switch err := refs.Decode(r); {
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && refs.IsEmpty():
		return nil, &ref.EmptyError{URL: url}
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return withHead(refs), nil
}

// withHead has HEAD be a ref as others are.
func withHead(refs *packp.AdvRefs) *packp.AdvRefs {
	if refs.Head != nil {
		refs.References["HEAD"] = *refs.Head
	}
	return refs
}
