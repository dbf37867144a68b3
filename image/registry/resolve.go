package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// Resolved is what a reference means now.
type Resolved struct {
	Ref         string // the reference in full, with registry and tag
	Within      string // the constraint on its tags, "" without one
	Tag         string // the one that it means
	Digest      string // of the manifest or index that it names
	From        string // the mirror's or registry's repository that said so
	Credentials string // where those used came from; "anonymous (why)"
}

// Resolve asks for the digest of ref, with a HEAD where the registry knows
// it. A ref that holds a digest is its own answer: nothing is asked. Where it
// holds a constraint, the tags are listed first.
func Resolve(ctx context.Context, ref string, opts Options) (Resolved, error) {
	parsed, s, err := NewSources(ctx, ref, opts)
	if err != nil {
		return Resolved{}, err
	}
	out := Resolved{Ref: parsed.Name()}
	if d, ok := parsed.Reference.(name.Digest); ok {
		first := s.list[0]
		out.Digest, out.From, out.Credentials = d.DigestStr(), first.String(), first.creds.Note
		return out, nil
	}
	err = s.each(ctx, s.tags(), func(e *endpoint) error {
		if parsed.Among != nil {
			out.Within = parsed.Among.String()
			if out.Tag, err = e.highestTag(ctx, *parsed.Among); err != nil {
				return err
			}
		}
		digest, err := e.headTag(ctx, cmp.Or(out.Tag, parsed.Identifier()))
		if err != nil {
			return err
		}
		out.Digest, out.From, out.Credentials = digest.String(), e.String(), e.creds.Note
		return nil
	})
	if err != nil {
		return Resolved{}, fmt.Errorf("resolve %s: %w", parsed.Name(), s.silentMirrors(err))
	}
	opts.Log.Debug("resolved", "ref", out.Ref, "tag", out.Tag, "digest", out.Digest, "from", out.From, "credentials", out.Credentials)
	return out, nil
}

func manifestTypes() http.Header {
	return http.Header{"Accept": {
		string(types.OCIImageIndex), string(types.OCIManifestSchema1),
		string(types.DockerManifestList), string(types.DockerManifestSchema2),
	}}
}

// headTag asks for a tag's digest. Where the answer has none, the manifest
// itself is asked for: some servers know no HEAD, or refuse it to whom they
// give the rest, and only the answer to a GET says why.
func (e *endpoint) headTag(ctx context.Context, tag string) (v1.Hash, error) {
	r := request{method: http.MethodHead, path: "manifests/" + tag, header: manifestTypes(), what: "tag " + tag}
	resp, err := e.do(ctx, r, http.StatusOK)
	switch {
	case err == nil:
		resp.Body.Close()
		if digest, err := v1.NewHash(resp.Header.Get("Docker-Content-Digest")); err == nil {
			return digest, nil
		}
	case !e.answered(err):
		return v1.Hash{}, err
	}
	data, err := e.document(ctx, "manifests/"+tag, r.what)
	if err != nil {
		return v1.Hash{}, err
	}
	return untrusted.SHA256(data), nil
}

// answered reports whether an exchange failed by what the registry said to it,
// and not on the way or by the login.
func (e *endpoint) answered(err error) bool {
	var (
		auth    *exchange.AuthError
		missing *exchange.NotFoundError
		status  *exchange.StatusError
	)
	said := errors.As(err, &auth) || errors.As(err, &missing) || errors.As(err, &status)
	e.mu.Lock()
	defer e.mu.Unlock()
	return said && e.client != nil
}

// document fetches a manifest in full, not yet verified.
func (e *endpoint) document(ctx context.Context, path, what string) ([]byte, error) {
	data, _, err := e.answer(ctx, path, what)
	return data, err
}

// answer is a document, and what came with it.
func (e *endpoint) answer(ctx context.Context, path, what string) ([]byte, *http.Response, error) {
	resp, err := e.do(ctx, request{method: http.MethodGet, path: path, header: manifestTypes(), what: what}, http.StatusOK)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, untrusted.MaxDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s from %s: %w", what, e, untrusted.Clean(err))
	}
	if len(data) > untrusted.MaxDocument {
		return nil, nil, untrusted.TooBig(what)
	}
	return data, resp, nil
}

// Manifest returns verified bytes.
func (s *Sources) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	var data []byte
	what := "manifest " + digest.String()
	err := s.each(ctx, s.list, func(e *endpoint) (err error) {
		data, err = e.manifest(ctx, digest, what)
		return err
	})
	return data, err
}

// manifest fetches and verifies a manifest.
func (e *endpoint) manifest(ctx context.Context, digest v1.Hash, what string) ([]byte, error) {
	data, err := e.document(ctx, "manifests/"+digest.String(), what)
	if err != nil {
		return nil, err
	}
	if got := untrusted.SHA256(data); got != digest {
		return nil, &untrusted.DigestError{What: what, From: e.String(), Want: digest.String(), Got: got.String()}
	}
	return data, nil
}

// Blob describes how to read a verified blob; nothing is read yet.
func (s *Sources) Blob(digest v1.Hash, size int64) func(context.Context) (io.ReadCloser, error) {
	return s.blob(digest, size).open
}
