package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A remoteBlob is a blob that any of an image's sources may serve.
type remoteBlob struct {
	from   *Sources
	digest v1.Hash
	size   int64

	mu sync.Mutex
	// liars served other bytes: they are asked last the next time.
	liars map[*endpoint]bool
	// peers, if there are, are asked first, but for those that are known to lack it.
	peers   *Peers
	lacking map[string]bool
}

func (s *Sources) blob(digest v1.Hash, size int64) *remoteBlob {
	return &remoteBlob{from: s, digest: digest, size: size, liars: map[*endpoint]bool{}, lacking: map[string]bool{}}
}

func (b *remoteBlob) what() string { return "blob " + b.digest.String() }

// open starts a verified stream of the blob, which ends with ctx.
func (b *remoteBlob) open(ctx context.Context) (io.ReadCloser, error) {
	r := &blobReader{blob: b, ctx: ctx, peers: b.near(ctx), order: b.order(), until: b.size}
	if err := r.reopen(); err != nil {
		return nil, fmt.Errorf("pull %s: %w", b.what(), err)
	}
	return untrusted.NewVerifier(r, b.digest, b.size, b.what(), r.givers, r.lied), nil
}

func (b *remoteBlob) order() []*endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	var good, bad []*endpoint
	for _, e := range b.from.list {
		if b.liars[e] {
			bad = append(bad, e)
		} else {
			good = append(good, e)
		}
	}
	return append(good, bad...)
}

// mismatch remembers who served wrong bytes.
func (b *remoteBlob) mismatch(source string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.from.list {
		if e.String() == source {
			b.liars[e] = true
		}
	}
	if b.peers != nil {
		b.peers.drop(source)
	}
}

// A blobReader reads a blob's bytes once and in order, over as many
// connections as it takes.
type blobReader struct {
	blob  *remoteBlob
	ctx   context.Context
	peers []*endpoint // the first is being read, if there is one
	order []*endpoint // or else the first of these
	body  io.ReadCloser
	off   int64
	until int64 // where it ends
	// gave are those of whom some of it came, by their names.
	gave []string
	// part: the rest of the blob is of no use, and is not asked for.
	part bool
	// failedAt is off at the last failure, failures how many there were
	// without at least exchange.Stride bytes between them.
	failedAt int64
	failures int
}

func (r *blobReader) source() string {
	if len(r.peers) > 0 {
		return r.peers[0].String()
	}
	return r.order[0].String()
}

// givers are all of whom it came.
func (r *blobReader) givers() string {
	if len(r.gave) == 0 {
		return r.source()
	}
	return strings.Join(r.gave, " and ")
}

// lied notes that it is not what was promised. Of several that gave some of it, who is not
// the image's own registry may have given the rest otherwise.
func (r *blobReader) lied() {
	own := r.blob.from.list[len(r.blob.from.list)-1].String()
	for _, source := range r.gave {
		if source != own || len(r.gave) == 1 {
			r.blob.mismatch(source)
		}
	}
}

// giver is who it is read of now.
func (r *blobReader) giver() Giver {
	list := r.blob.from.list
	switch {
	case len(r.peers) > 0:
		return Giver{Peer, r.peers[0].repo.RegistryStr()}
	case r.order[0] == list[len(list)-1]:
		return Giver{Own, r.order[0].repo.RegistryStr()}
	}
	return Giver{Mirror, r.order[0].repo.RegistryStr()}
}

func (r *blobReader) Read(p []byte) (int, error) {
	for {
		if r.off >= r.until {
			return 0, r.end()
		}
		p = p[:min(int64(len(p)), r.until-r.off)]
		n, err := r.body.Read(p)
		r.off += int64(n)
		r.blob.from.given.add(r.giver(), n)
		if source := r.source(); n > 0 && !slices.Contains(r.gave, source) {
			r.gave = append(r.gave, source)
		}
		if n > 0 || err == nil {
			return n, nil
		}
		if err := r.recover(err); err != nil {
			return 0, err
		}
	}
}

// end checks that a source has no more than was promised.
func (r *blobReader) end() error {
	if r.part {
		return io.EOF
	}
	var one [1]byte
	if n, _ := io.ReadFull(r.body, one[:]); n > 0 {
		r.blob.mismatch(r.source())
		return &untrusted.DigestError{What: r.blob.what(), From: r.source(), Want: fmt.Sprintf("%d bytes", r.blob.size), Got: "more"}
	}
	return io.EOF
}

// recover opens the blob again where it was cut.
func (r *blobReader) recover(cause error) error {
	if r.ctx.Err() != nil {
		return r.ctx.Err()
	}
	if errors.Is(cause, io.EOF) {
		cause = io.ErrUnexpectedEOF
	}
	cause = fmt.Errorf("%s from %s was cut at byte %d of %d: %w", r.blob.what(), r.source(), r.off, r.until, untrusted.Clean(cause))
	r.body.Close()
	if len(r.peers) > 0 {
		r.leavePeer(cause)
		r.peers = r.peers[1:]
		return r.reopen()
	}
	if r.off-r.failedAt >= exchange.Stride {
		r.failures = 0
	}
	r.failedAt = r.off
	r.failures++
	if r.failures >= r.blob.from.Timing.Attempts*len(r.order) {
		return fmt.Errorf("after %d attempts: %w", r.failures, cause)
	}
	r.blob.from.Log.Info("resuming a blob", "blob", r.blob.digest.Hex[:12], "from", r.source(), "at", r.off, "of", r.until, "why", exchange.Why(cause))
	if r.failures > 1 {
		// The one that keeps cutting is asked last.
		r.order = append(r.order[1:], r.order[0])
		if err := r.blob.from.Pause(r.ctx, r.failures-1, cause); err != nil {
			return err
		}
	}
	if err := r.reopen(); err != nil {
		return fmt.Errorf("%w; resuming: %w", cause, err)
	}
	return nil
}

// reopen connects to the first source that serves, and puts it first.
func (r *blobReader) reopen() error {
	if r.fromPeer() {
		return nil
	}
	return r.blob.from.each(r.ctx, r.order, func(e *endpoint) error {
		body, err := r.from(e)
		if err != nil {
			return err
		}
		r.body = body
		rest := []*endpoint{e}
		for _, other := range r.order {
			if other != e {
				rest = append(rest, other)
			}
		}
		r.order = rest
		return nil
	})
}

// from asks e for the bytes from r.off on. A registry that knows no such
// range is asked for the whole blob.
func (r *blobReader) from(e *endpoint) (io.ReadCloser, error) {
	req := request{method: http.MethodGet, path: "blobs/" + r.blob.digest.String(), what: r.blob.what()}
	if r.off > 0 || r.part {
		req.header = http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", r.off, r.until-1)}}
	}
	resp, err := e.do(r.ctx, req, http.StatusOK, http.StatusPartialContent)
	var status *exchange.StatusError
	if errors.As(err, &status) && status.Status == http.StatusRequestedRangeNotSatisfiable && r.off > 0 && !r.part {
		req.header = nil
		resp, err = e.do(r.ctx, req, http.StatusOK)
	}
	if err != nil {
		return nil, err
	}
	if err := r.position(resp, e); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// position brings the answer to r.off, whether or not the server heeded the
// range.
func (r *blobReader) position(resp *http.Response, e *endpoint) error {
	if resp.StatusCode == http.StatusPartialContent {
		want := fmt.Sprintf("bytes %d-%d/", r.off, r.until-1)
		got := resp.Header.Get("Content-Range")
		if total, found := strings.CutPrefix(got, want); !found || total != "*" && total != fmt.Sprint(r.blob.size) {
			return &untrusted.DigestError{What: r.blob.what(), From: e.String(), Want: want + fmt.Sprint(r.blob.size), Got: "range " + untrusted.Printable(got, 60)}
		}
		return nil
	}
	if r.part {
		return &untrusted.UnsupportedError{What: fmt.Sprintf("bytes %d to %d of %s", r.off, r.until-1, r.blob.what()), Reason: e.String() + " gives the whole when it is asked for a part", Remedy: "have its operator allow requests with Range"}
	}
	if resp.ContentLength >= 0 && resp.ContentLength != r.blob.size {
		r.blob.mismatch(e.String())
		return &untrusted.DigestError{What: r.blob.what(), From: e.String(), Want: fmt.Sprintf("%d bytes", r.blob.size), Got: fmt.Sprintf("%d bytes", resp.ContentLength)}
	}
	if _, err := io.CopyN(io.Discard, resp.Body, r.off); err != nil {
		return fmt.Errorf("skip the %d bytes of %s already read: %w", r.off, r.blob.what(), untrusted.Clean(err))
	}
	return nil
}

func (r *blobReader) Close() error { return r.body.Close() }

// A Part reads some bytes of a file in a registry, once and in order, and again where it
// was cut. Nothing has verified them: a part has no digest.
type Part interface {
	io.ReadCloser
	// Reject says that what was read is wrong: others than who gave it are asked first
	// from then on.
	Reject()
}

// Parts describes how to read parts of one of the artifact's files; see Sources.Parts.
func (a Artifact) Parts(d v1.Descriptor) func(ctx context.Context, off, n int64) (Part, error) {
	return a.blob(d).openPart
}

// Parts describes how to read parts of a blob: n bytes from off on. Who has no part to
// give but the whole blob gives none.
func (s *Sources) Parts(digest v1.Hash, size int64) func(ctx context.Context, off, n int64) (Part, error) {
	return s.blob(digest, size).openPart
}

func (b *remoteBlob) openPart(ctx context.Context, off, n int64) (Part, error) {
	if off < 0 || n <= 0 || n > b.size-off {
		return nil, fmt.Errorf("bytes %d to %d of the %d of %s", off, off+n, b.size, b.what())
	}
	r := &blobReader{blob: b, ctx: ctx, peers: b.near(ctx), order: b.order(), off: off, until: off + n, failedAt: off, part: true}
	if err := r.reopen(); err != nil {
		return nil, fmt.Errorf("pull a part of %s: %w", b.what(), err)
	}
	return r, nil
}

// Reject notes who has lied.
func (r *blobReader) Reject() { r.lied() }
