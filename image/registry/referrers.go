package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// maxReferrerPages bounds the list of what refers to an image: registries give
// some dozens at once.
const maxReferrerPages = 16

// referrersTag is what stands in for the list where a registry has no interface for
// it (OCI distribution-spec 1.1, "Referrers Tag Schema").
func referrersTag(digest v1.Hash) string { return digest.Algorithm + "-" + digest.Hex }

// listReferrers asks for what refers to a digest, by the interface for that or,
// where a registry has none, by the tag that stands in for it. Of a list that is
// too long it gives the beginning, and says that it is not all.
func (e *endpoint) listReferrers(ctx context.Context, digest v1.Hash) (found []v1.Descriptor, all bool, err error) {
	list := "referrers/" + digest.String()
	path := list
	for range maxReferrerPages {
		page, next, err := e.pageOfReferrers(ctx, path, list)
		if len(found) == 0 && (lacks(err) || errors.As(err, new(*exchange.AuthError)) || errors.Is(err, errNoList)) { // some refuse what they do not know
			break
		}
		if err != nil {
			return nil, false, err
		}
		if found = append(found, page...); next == "" {
			return found, true, nil
		}
		path = next
	}
	if len(found) > 0 {
		return found, false, nil
	}
	found, _, err = e.pageOfReferrers(ctx, "manifests/"+referrersTag(digest), list)
	if lacks(err) || errors.Is(err, errNoList) {
		return nil, true, nil
	}
	return found, true, err
}

// errNoList says that an answer is one to another question.
var errNoList = errors.New("it is no list of what refers to an image")

// pageOfReferrers fetches a part of the list, and says where the next one is, "" if
// there is none.
func (e *endpoint) pageOfReferrers(ctx context.Context, path, list string) (found []v1.Descriptor, next string, err error) {
	data, resp, err := e.answer(ctx, path, "what refers to the image")
	if err != nil {
		return nil, "", err
	}
	if untrusted.CheckDocument(data, path) != nil {
		return nil, "", errNoList
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil || !index.MediaType.IsIndex() {
		return nil, "", errNoList
	}
	next, err = e.nextPage(resp, list, "ask its operator why")
	return index.Manifests, next, err
}

// lacks reports whether a registry does not have something, or does not know
// how to be asked for it.
func lacks(err error) bool {
	var status *exchange.StatusError
	if errors.As(err, &status) {
		return status.Status >= http.StatusBadRequest && status.Status < http.StatusInternalServerError && !exchange.PassingStatus(status.Status)
	}
	return errors.As(err, new(*exchange.NotFoundError))
}

// maxArtifacts is how many of one kind are looked at of an image.
const maxArtifacts = 16

// An Artifact is what somebody has published about an image: a manifest that refers
// to the image's.
type Artifact struct {
	// Digest is that of the artifact's manifest.
	Digest v1.Hash
	// Layers are its files.
	Layers []v1.Descriptor

	config v1.Descriptor
	ref    string
	from   *Sources
}

// Artifacts returns what refers to an image's manifest and is of a kind, newest last
// where a registry keeps the order. An image that has none is no error. Mirrors are
// asked, too; the first of the sources that has any is the one that counts.
func Artifacts(ctx context.Context, ref string, subject v1.Hash, kind string, opts Options) (found []Artifact, err error) {
	_, s, err := NewSources(ctx, ref, opts)
	if err != nil {
		return nil, err
	}
	err = s.each(ctx, s.list, func(e *endpoint) (err error) {
		found, err = e.artifacts(ctx, subject, kind)
		return err
	})
	if lacks(err) {
		return nil, nil
	}
	for i := range found {
		found[i].ref, found[i].from = ref, s
	}
	return found, err
}

// artifacts gives a *NotFoundError if there are none.
func (e *endpoint) artifacts(ctx context.Context, subject v1.Hash, kind string) (found []Artifact, err error) {
	list, _, err := e.listReferrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	looked := 0
	for _, d := range list {
		if d.ArtifactType != kind {
			continue
		}
		if looked++; looked > maxArtifacts {
			break
		}
		a, ok, err := e.artifact(ctx, d.Digest, subject, kind)
		if err != nil {
			return nil, err
		}
		if ok {
			found = append(found, a)
		}
	}
	if len(found) == 0 {
		return nil, &exchange.NotFoundError{Repository: e.repo.Name(), What: kind + " of " + subject.String()}
	}
	return found, nil
}

// artifact reads a manifest that was listed. One that is gone, or is not what the list
// says, is passed over.
func (e *endpoint) artifact(ctx context.Context, digest, subject v1.Hash, kind string) (a Artifact, ok bool, err error) {
	data, err := e.manifest(ctx, digest, "manifest "+digest.String())
	if err != nil {
		return a, false, ignoreMissing(err)
	}
	if untrusted.CheckDocument(data, "artifact") != nil {
		return a, false, nil
	}
	m, err := v1.ParseManifest(bytes.NewReader(data))
	if err != nil || m.ArtifactType != kind || m.Subject == nil || m.Subject.Digest != subject {
		return a, false, nil
	}
	return Artifact{Digest: digest, Layers: m.Layers, config: m.Config}, true, nil
}

func ignoreMissing(err error) error {
	if errors.As(err, new(*exchange.NotFoundError)) {
		return nil
	}
	return err
}

// Signed finds out whether an artifact is signed as a policy wants; see Verify.
func (a Artifact) Signed(ctx context.Context, policy cosign.Policy, opts Options) error {
	return Verify(ctx, a.ref, a.Digest, policy, opts)
}

// Config fetches the artifact's document, of which it is said how large it may be.
func (a Artifact) Config(ctx context.Context, limit int64) ([]byte, error) {
	return a.Read(ctx, a.config, limit)
}

// Read fetches a small file of the artifact's, of which it is said how large it may be.
func (a Artifact) Read(ctx context.Context, d v1.Descriptor, limit int64) (data []byte, err error) {
	if d.Size < 0 || d.Size > limit {
		return nil, fmt.Errorf("document %s of artifact %s has %d bytes, of which %d are allowed", d.Digest, a.Digest, d.Size, limit)
	}
	if data, err = untrusted.ReadAll(ctx, a.Open(d)); err != nil {
		return nil, fmt.Errorf("read document %s of artifact %s: %w", d.Digest, a.Digest, err)
	}
	return data, nil
}

// File finds one of the artifact's files.
func (a Artifact) File(sha256 string, size int64) (d v1.Descriptor, ok bool) {
	at := slices.IndexFunc(a.Layers, func(f v1.Descriptor) bool { return f.Digest.String() == "sha256:"+sha256 && f.Size == size })
	if at < 0 {
		return d, false
	}
	return a.Layers[at], true
}

// Open describes how to read one of the artifact's files, verified.
func (a Artifact) Open(d v1.Descriptor) func(context.Context) (io.ReadCloser, error) {
	return a.blob(d).open
}

// blob is one of the artifact's files. Machines near this one have such, too; an image's
// own layers they have not.
func (a Artifact) blob(d v1.Descriptor) *remoteBlob {
	b := a.from.blob(d.Digest, d.Size)
	b.peers = a.from.peers
	return b
}

// Fetch fetches a document, of which it is said how large it may be. Mirrors are asked,
// too: it is for the caller to see whether it is worth anything. One that is not there is
// an *exchange.NotFoundError.
func (d Document) Fetch(ctx context.Context, limit int64, opts Options) ([]byte, error) {
	_, s, err := NewSources(ctx, d.Ref, opts)
	if err != nil {
		return nil, err
	}
	a := Artifact{ref: d.Ref, from: s}
	err = s.each(ctx, s.list, func(e *endpoint) error {
		data, err := e.document(ctx, "manifests/"+d.Tag, "document "+d.Tag)
		if err == nil {
			err = untrusted.CheckDocument(data, "document "+d.Tag)
		}
		if err != nil {
			return err
		}
		m, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil || string(m.Config.MediaType) != d.Type {
			return fmt.Errorf("%s holds no document of the type %s", d, d.Type)
		}
		a.Digest, a.config = untrusted.SHA256(data), m.Config
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.Config(ctx, limit)
}
