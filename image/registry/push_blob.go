package registry

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/progress"
)

// config sends the configuration.
func (p *pusher) config(ctx context.Context) error { return p.document(ctx, "configuration", p.Config) }

// document sends a small blob, unless the registry has it.
func (p *pusher) document(ctx context.Context, what string, data []byte) error {
	digest := untrusted.SHA256(data).String()
	if have, err := p.have(ctx, digest, p.to.String()); err != nil || have {
		return err
	}
	return p.from.each(ctx, p.from.list, func(e *endpoint) error {
		at, err := p.begin(ctx, what)
		if err != nil {
			return err
		}
		return p.commit(ctx, at, digest, data)
	})
}

// publish puts the manifest under each tag.
func (p *pusher) publish(ctx context.Context) error {
	manifest, err := p.manifest()
	if err != nil {
		return err
	}
	for _, tag := range p.Tags {
		put := request{
			method: http.MethodPut, path: "manifests/" + tag, what: "the manifest of tag " + tag, sends: true,
			header: http.Header{"Content-Type": {string(types.OCIManifestSchema1)}},
		}
		err := p.from.each(ctx, p.from.list, func(e *endpoint) error {
			put.body, put.length = io.NopCloser(bytes.NewReader(manifest)), int64(len(manifest))
			resp, err := e.do(ctx, put, http.StatusCreated, http.StatusOK, http.StatusAccepted)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mount asks the registry to take a blob from another repository of its own.
// Whatever it answers but that it did means that the blob has to be sent.
func (p *pusher) mount(ctx context.Context, digest, repository string) bool {
	other, err := name.NewRepository(repository)
	if err != nil || other.RegistryStr() != p.to.repo.RegistryStr() {
		return false
	}
	query := url.Values{"mount": {digest}, "from": {other.RepositoryStr()}}
	r := request{method: http.MethodPost, path: "blobs/uploads/?" + query.Encode(), what: "blob " + digest, sends: true}
	resp, err := p.to.do(ctx, r, http.StatusCreated)
	if err != nil {
		p.opts.Log.Debug("not mounted from another repository", "blob", digest, "from", repository, "error", err)
		return false
	}
	return resp.Body.Close() == nil
}

// begin starts an upload and returns where to.
func (p *pusher) begin(ctx context.Context, what string) (*url.URL, error) {
	r := request{method: http.MethodPost, path: "blobs/uploads/", what: what, sends: true}
	resp, err := p.to.do(ctx, r, http.StatusAccepted)
	if err != nil {
		return nil, err
	}
	return p.next(resp)
}

// next reads where an upload goes on. That may be another host, as with
// registries that keep their blobs in a cloud's storage, but none of this
// network that the registry chose by its address.
func (p *pusher) next(resp *http.Response) (*url.URL, error) {
	if err := resp.Body.Close(); err != nil {
		return nil, err
	}
	at, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("%s does not say where to send to: %w", p.to, untrusted.Clean(err))
	}
	switch at.Host {
	case p.to.repo.RegistryStr():
		at.Scheme = "https" // the endpoint's transport knows better
		return at, nil
	case resp.Request.URL.Host:
		return at, nil
	}
	if ip, err := netip.ParseAddr(at.Hostname()); err == nil && !ip.IsGlobalUnicast() || err == nil && ip.IsPrivate() {
		return nil, fmt.Errorf("%s wants it sent to %s, an address of this network; push to another registry", p.to, at.Hostname())
	}
	return at, nil
}

// commit ends an upload; data is what is still to be sent.
func (p *pusher) commit(ctx context.Context, at *url.URL, digest string, data []byte) error {
	if len(data) == 0 {
		return p.commitFrom(ctx, at, digest, nil, 0)
	}
	return p.commitFrom(ctx, at, digest, io.NopCloser(bytes.NewReader(data)), int64(len(data)))
}

// commitFrom ends an upload; body, which may be nil, is what is still to be sent. It
// is closed.
func (p *pusher) commitFrom(ctx context.Context, at *url.URL, digest string, body io.ReadCloser, length int64) error {
	query := at.Query()
	query.Set("digest", digest)
	at.RawQuery = query.Encode()
	r := request{
		method: http.MethodPut, address: at.String(), what: "blob " + digest, sends: true, slow: true,
		header: http.Header{"Content-Type": {"application/octet-stream"}}, body: body, length: length,
	}
	resp, err := p.to.do(ctx, r, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// send compresses a layer and sends it in one pass: nothing is stored on the
// way. Its digest is known at the end, and so is whether it was the right
// layer.
func (p *pusher) send(ctx context.Context, l UploadLayer, task *progress.Task) (Blob, error) {
	at, err := p.begin(ctx, "layer "+l.DiffID)
	if err != nil {
		return Blob{}, err
	}
	out := newSquasher(ctx, p.Compression, l, task)
	r := request{
		method: http.MethodPatch, address: at.String(), what: "layer " + l.DiffID, sends: true, slow: true,
		header: http.Header{"Content-Type": {"application/octet-stream"}}, body: out, length: -1,
	}
	resp, err := p.to.do(ctx, r, http.StatusAccepted, http.StatusNoContent, http.StatusCreated)
	if err := out.end(err); err != nil {
		return Blob{}, err
	}
	if at, err = p.next(resp); err != nil {
		return Blob{}, err
	}
	digest := "sha256:" + hex.EncodeToString(out.sum.Sum(nil))
	if err := p.commit(ctx, at, digest, nil); err != nil {
		return Blob{}, err
	}
	return Blob{MediaType: string(p.mediaType()), Digest: digest, Size: out.size, Repository: p.to.String()}, nil
}

// newCompressor gives a writer whose output depends on its input alone.
func newCompressor(w io.Writer, kind string) (io.WriteCloser, error) {
	if kind == "gzip" {
		return gzip.NewWriter(w), nil
	}
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(2))
}

// pushRemedy adds what to do about refusals that only writing meets.
func pushRemedy(err error) error {
	var (
		auth   *exchange.AuthError
		status *exchange.StatusError
		off    *net.OpError
		nobody *net.DNSError
	)
	switch {
	case errors.As(err, &nobody):
		return fmt.Errorf("%w; check the registry's name", err)
	case errors.As(err, &off), errors.Is(err, exchange.ErrIdle):
		return fmt.Errorf("%w; check that the registry runs and can be reached from here", err)
	case errors.As(err, &auth) && auth.Status == http.StatusForbidden:
		return fmt.Errorf("%w; pushing needs the right to write there", err)
	case errors.As(err, &status) && status.Status == http.StatusNotFound:
		return fmt.Errorf("%w; check the repository's name: some registries want it created first", err)
	case errors.As(err, &status) && (status.Status == http.StatusMethodNotAllowed || status.Status == http.StatusNotImplemented):
		return fmt.Errorf("%w; it takes no images: it is read-only, or a mirror of another; push to one that does", err)
	case errors.As(err, &status) && status.Status == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w; a proxy before the registry limits how much may be sent at once; raise its limit", err)
	}
	return err
}
