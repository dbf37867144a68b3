package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

const (
	// maxSignatures is how many of one image are looked at, in each source.
	maxSignatures = 64
	// maxSignature is how large one may be, in bytes: with a certificate, a
	// log's entry and a time stamp it has some 10 KB.
	maxSignature = 1 << 20
)

// Verify finds out whether the manifest or index with a digest is signed as a
// policy wants. It asks mirrors, too: a signature is worth the same wherever it
// lies. The error is a *cosign.UnsignedError where all could be asked.
func Verify(ctx context.Context, ref string, digest v1.Hash, policy cosign.Policy, opts Options) error {
	parsed, s, err := NewSources(ctx, ref, opts)
	if err != nil {
		return err
	}
	return s.each(ctx, s.list, func(e *endpoint) error {
		search := &search{endpoint: e, judge: policy.Judge(parsed.Context().Name(), digest.String())}
		return search.signature(ctx, digest)
	})
}

// A search looks for a signature that counts in one source.
type search struct {
	*endpoint
	judge *cosign.Judge
	seen  int
}

var errTooManySignatures = fmt.Errorf("there are more than %d, and none of the first counts", maxSignatures)

// signature looks where cosign puts them: what refers to the image (OCI 1.1), and
// the tag that is made of its digest.
func (s *search) signature(ctx context.Context, digest v1.Hash) error {
	refused := error(nil)
	for _, look := range []func(context.Context, v1.Hash) (bool, error){s.referrers, s.tagged} {
		found, err := look(ctx, digest)
		switch {
		case found:
			return nil
		case err == nil:
		case errors.As(err, new(*exchange.AuthError)):
			refused = err // of one of the two places alone
		default:
			return err
		}
	}
	if refused != nil {
		return refused
	}
	return s.judge.Verdict()
}

// signatureTag is where cosign puts signatures of what has a digest.
func signatureTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex + ".sig" }

// tagged looks at the image that the tag sha256-….sig names.
func (s *search) tagged(ctx context.Context, digest v1.Hash) (bool, error) {
	tag := signatureTag(digest)
	data, err := s.document(ctx, "manifests/"+tag, "signature "+tag)
	if errors.As(err, new(*exchange.NotFoundError)) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return s.layers(ctx, data)
}

// referrers looks at what refers to the image.
func (s *search) referrers(ctx context.Context, digest v1.Hash) (bool, error) {
	list, all, err := s.listReferrers(ctx, digest)
	if err != nil {
		return false, err
	}
	if !all {
		s.judge.Refuse(errTooManySignatures)
	}
	for _, d := range list {
		if !mayBeSignature(d) {
			continue
		}
		if s.enough() {
			break
		}
		data, err := s.manifest(ctx, d.Digest, "signature "+d.Digest.String())
		if errors.As(err, new(*exchange.NotFoundError)) {
			continue
		}
		if err != nil {
			return false, err
		}
		if found, err := s.layers(ctx, data); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// mayBeSignature leaves out lists of contents, results of tests and the like, as
// far as they say what they are.
func mayBeSignature(d v1.Descriptor) bool {
	if states := d.Annotations[cosign.PredicateAnnotation]; states != "" && states != cosign.SignPredicate {
		return false
	}
	switch t := d.ArtifactType; {
	case t == "", strings.HasPrefix(t, "application/vnd.oci."), strings.HasPrefix(t, "application/vnd.dev.cosign."):
		return true
	default:
		return strings.HasPrefix(t, "application/vnd.dev.sigstore.bundle")
	}
}

// enough counts what is looked at, manifests and signatures in them.
func (s *search) enough() bool {
	if s.seen++; s.seen <= 2*maxSignatures { // most lie in a manifest of their own
		return false
	}
	s.judge.Refuse(errTooManySignatures)
	return true
}

// layers looks at the layers of what may hold signatures.
func (s *search) layers(ctx context.Context, data []byte) (bool, error) {
	if untrusted.CheckDocument(data, "signature") != nil {
		return false, nil
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil {
		return false, nil
	}
	for _, d := range m.Layers {
		if !slices.Contains([]types.MediaType{cosign.SimpleSigning, cosign.Bundle}, d.MediaType) {
			continue
		}
		if s.enough() {
			break
		}
		if d.Size < 0 || d.Size > maxSignature {
			s.judge.Refuse(fmt.Errorf("it is larger than %d MiB", maxSignature>>20))
			continue
		}
		data, err := s.small(ctx, d, "signature "+d.Digest.String())
		if lacks(err) {
			continue
		}
		if err != nil {
			return false, err
		}
		if s.judge.Add(string(d.MediaType), d.Annotations, data) {
			return true, nil
		}
	}
	return false, nil
}

// small fetches a small blob, whose size is checked already, and verifies it.
func (e *endpoint) small(ctx context.Context, d v1.Descriptor, what string) ([]byte, error) {
	resp, err := e.do(ctx, request{method: http.MethodGet, path: "blobs/" + d.Digest.String(), what: what}, http.StatusOK)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, d.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read %s from %s: %w", what, e, untrusted.Clean(err))
	}
	if got := untrusted.SHA256(data); got != d.Digest {
		return nil, &untrusted.DigestError{What: what, From: e.String(), Want: d.Digest.String(), Got: got.String()}
	}
	return data, nil
}

const (
	// maxOriginals is how many manifests are fetched that belong to one image, and
	// maxOriginal how large a file of theirs may be, in bytes.
	maxOriginals = 64
	maxOriginal  = 16 << 20
)

// An Original is a document exactly as a registry has it.
type Original struct {
	// Manifest: it is one, or an index, and no blob.
	Manifest bool
	// Tag is by which tag it was found, "" if by its digest.
	Tag  string
	Data []byte
}

// Documents are which files of an artifact are wanted.
type Documents struct {
	// Wanted reports that of a media type.
	Wanted func(mediaType string) bool
	// Here are those that need not be fetched, by their sha256.
	Here map[string][]byte
}

// Belonging fetches what others have published about manifests of an image: signatures,
// and what refers to them, with those of its files that are documents.
// Mirrors are asked, too; the first of the sources that has any is the one that counts.
func Belonging(ctx context.Context, ref string, subjects []v1.Hash, documents Documents, opts Options) ([]Original, error) {
	_, s, err := NewSources(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	var found []Original
	err = s.each(ctx, s.list, func(e *endpoint) error {
		g := &gathering{endpoint: e, documents: documents, seen: map[v1.Hash]bool{}}
		for _, subject := range subjects {
			if err := g.about(ctx, subject, 1); err != nil {
				return err
			}
		}
		if found = g.found; len(found) == 0 {
			return &exchange.NotFoundError{Repository: e.String(), What: "anything about the image"}
		}
		return nil
	})
	if errors.As(err, new(*exchange.NotFoundError)) {
		return nil, nil
	}
	return found, err
}

// A gathering is of one source.
type gathering struct {
	*endpoint
	documents Documents
	seen      map[v1.Hash]bool
	manifests int
	found     []Original
}

// about gathers what there is about a manifest, and with depth about that, too: what is
// ready-made is signed.
func (g *gathering) about(ctx context.Context, subject v1.Hash, depth int) error {
	if g.seen[subject] {
		return nil
	}
	g.seen[subject] = true
	list, _, err := g.listReferrers(ctx, subject)
	if err != nil && !lacks(err) {
		return err
	}
	for _, d := range list {
		if g.manifests >= maxOriginals {
			break
		}
		data, err := g.manifest(ctx, d.Digest, "manifest "+d.Digest.String())
		if lacks(err) {
			continue
		}
		if err == nil {
			err = g.add(ctx, Original{Manifest: true, Data: data})
		}
		if err == nil && depth > 0 && !mayBeSignature(d) {
			err = g.about(ctx, d.Digest, depth-1)
		}
		if err != nil {
			return err
		}
	}
	tag := signatureTag(subject)
	data, err := g.document(ctx, "manifests/"+tag, "signature "+tag)
	if lacks(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.add(ctx, Original{Manifest: true, Tag: tag, Data: data})
}

// add takes a manifest, and of its files what is wanted.
func (g *gathering) add(ctx context.Context, o Original) error {
	g.manifests++
	if untrusted.CheckDocument(o.Data, "manifest") != nil {
		return nil
	}
	m, err := v1.ParseManifest(bytes.NewReader(o.Data))
	if err != nil {
		return nil
	}
	g.found = append(g.found, o)
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if g.seen[d.Digest] || d.Size < 0 || d.Size > maxOriginal || !g.documents.Wanted(string(d.MediaType)) {
			continue
		}
		g.seen[d.Digest] = true
		if data, here := g.documents.Here[d.Digest.Hex]; here {
			g.found = append(g.found, Original{Data: data})
			continue
		}
		data, err := g.small(ctx, d, "document "+d.Digest.String())
		if lacks(err) {
			continue
		}
		if err != nil {
			return err
		}
		g.found = append(g.found, Original{Data: data})
	}
	return nil
}
