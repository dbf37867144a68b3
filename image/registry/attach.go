package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/progress"
)

// An ArtifactUpload is what is to be published about an image.
type ArtifactUpload struct {
	// Ref names the image's repository; Subject is the digest of the image's manifest
	// in it.
	Ref     string
	Subject string
	// Type is the artifact's; Config is its document, of the same media type.
	Type   string
	Config []byte
	Files  []ArtifactFile
}

// An ArtifactFile is one of an artifact's files.
type ArtifactFile struct {
	MediaType string
	SHA256    string // in hex
	Size      int64
	// Open gives its bytes; it is called again when sending it has failed.
	Open func() (io.ReadCloser, error)
}

// Attached is what became of an ArtifactUpload.
type Attached struct {
	// Digest is the manifest's.
	Digest string
	// Sent is how many bytes of files the registry did not have.
	Sent int64
	// There says that it was published already.
	There bool
}

// Attach publishes something about an image that lies in the same repository. What
// the registry has is not sent again, and the same content gives the same digest. In
// a registry that has no interface for what refers to an image, the tag that stands
// in for it is changed: of two who do that at once, one has to do it again.
func Attach(ctx context.Context, u ArtifactUpload, opts Options) (Attached, error) {
	opts.Mirrors = nil
	parsed, s, err := NewSources(ctx, u.Ref, opts)
	if err != nil {
		return Attached{}, fmt.Errorf("publish: %w", err)
	}
	s.list[0].scope = transport.PushScope
	subject, err := v1.NewHash(u.Subject)
	if err != nil {
		return Attached{}, fmt.Errorf("publish for %s: digest: %w", parsed.Name(), err)
	}
	a := &attacher{pusher: pusher{to: s.list[0], from: s, opts: opts}, what: u, subject: subject}
	if err := a.run(ctx); err != nil {
		return Attached{}, fmt.Errorf("publish for %s: %w", parsed.Name(), pushRemedy(err))
	}
	return Attached{Digest: a.digest.String(), Sent: a.sent.Load(), There: a.there}, nil
}

// An attacher publishes one artifact.
type attacher struct {
	pusher
	what ArtifactUpload
	// subject and digest are those of the image's manifest and of the artifact's.
	subject, digest v1.Hash
	sent            atomic.Int64
	there           bool
}

func (a *attacher) run(ctx context.Context) error {
	subject, err := a.from.Manifest(ctx, a.subject)
	if err != nil {
		return err
	}
	manifest, err := a.what.Manifest(subject)
	if err != nil {
		return fmt.Errorf("manifest %s: %w", a.subject, err)
	}
	a.digest = untrusted.SHA256(manifest)
	if a.there, err = a.listed(ctx); err != nil || a.there {
		return err
	}
	group, filesCtx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, f := range a.what.Files {
		group.Go(func() error { return a.file(filesCtx, f) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	a.Config = a.what.Config
	if err := a.config(ctx); err != nil {
		return err
	}
	return a.refer(ctx, manifest)
}

// describe is what says which image is meant.
func describe(manifest []byte) (v1.Descriptor, error) {
	m, err := v1.ParseManifest(bytes.NewReader(manifest))
	if err != nil {
		return v1.Descriptor{}, err
	}
	return v1.Descriptor{MediaType: cmp.Or(m.MediaType, types.OCIManifestSchema1), Digest: untrusted.SHA256(manifest), Size: int64(len(manifest))}, nil
}

// Manifest returns the artifact's, which refers to that of an image, or to nothing.
func (u ArtifactUpload) Manifest(subject []byte) ([]byte, error) {
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: u.Type,
		Config: v1.Descriptor{MediaType: types.MediaType(u.Type), Digest: untrusted.SHA256(u.Config), Size: int64(len(u.Config))},
		Layers: []v1.Descriptor{},
	}
	if subject != nil {
		described, err := describe(subject)
		if err != nil {
			return nil, err
		}
		m.Subject = &described
	}
	for _, f := range u.Files {
		digest, err := v1.NewHash("sha256:" + f.SHA256)
		if err != nil {
			return nil, err
		}
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.MediaType(f.MediaType), Digest: digest, Size: f.Size})
	}
	return json.Marshal(m)
}

// listed reports whether the registry has it and tells of it.
func (a *attacher) listed(ctx context.Context) (listed bool, err error) {
	err = a.from.each(ctx, a.from.list, func(e *endpoint) error {
		list, _, err := e.listReferrers(ctx, a.subject)
		listed = slices.ContainsFunc(list, func(d v1.Descriptor) bool { return d.Digest == a.digest })
		return err
	})
	return listed, err
}

// file makes sure that the registry has a file.
func (a *attacher) file(ctx context.Context, f ArtifactFile) error {
	digest := "sha256:" + f.SHA256
	have, err := a.have(ctx, digest, a.to.String())
	if err != nil || have {
		return err
	}
	task := progress.Start(a.opts.Progress, "publish "+short(digest), f.Size)
	err = a.from.each(ctx, a.from.list, func(e *endpoint) error { return a.sendFile(ctx, f, task) })
	task.End(err)
	if err == nil {
		a.sent.Add(f.Size)
	}
	return err
}

// sendFile sends a file whose digest is known, in one request.
func (a *attacher) sendFile(ctx context.Context, f ArtifactFile, task *progress.Task) error {
	at, err := a.begin(ctx, "object "+f.SHA256)
	if err != nil {
		return err
	}
	file, err := f.Open()
	if err != nil {
		return &exchange.LayerError{Err: err}
	}
	counted := &countedFile{ReadCloser: file, task: task}
	if err := a.commitFrom(ctx, at, "sha256:"+f.SHA256, counted, f.Size); err != nil {
		task.Add(-counted.read.Load()) // it is sent again, or not at all
		return err
	}
	return nil
}

// A countedFile tells how much of it was read.
type countedFile struct {
	io.ReadCloser
	task *progress.Task
	read atomic.Int64
}

func (c *countedFile) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.read.Add(int64(n))
	c.task.Add(int64(n))
	return n, err
}

// refer publishes the manifest, and names it where the registry does not find by
// itself what refers to an image: it would have said so.
func (a *attacher) refer(ctx context.Context, manifest []byte) error {
	knows, err := a.put(ctx, a.digest.String(), types.OCIManifestSchema1, manifest)
	if err != nil || knows {
		return err
	}
	tag := referrersTag(a.subject)
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	err = a.from.each(ctx, a.from.list, func(e *endpoint) (err error) {
		index.Manifests, _, err = e.pageOfReferrers(ctx, "manifests/"+tag, "")
		return err
	})
	if err != nil && !lacks(err) && !errors.Is(err, errNoList) {
		return err
	}
	index.Manifests = append(index.Manifests, v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: a.digest, Size: int64(len(manifest)), ArtifactType: a.what.Type})
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	_, err = a.put(ctx, tag, types.OCIImageIndex, data)
	return err
}

// put sends a manifest, and reports whether the registry notes what it refers to.
func (a *attacher) put(ctx context.Context, name string, kind types.MediaType, data []byte) (notes bool, err error) {
	put := request{method: http.MethodPut, path: "manifests/" + name, what: "manifest " + name, sends: true, header: http.Header{"Content-Type": {string(kind)}}}
	err = a.from.each(ctx, a.from.list, func(e *endpoint) error {
		put.body, put.length = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		resp, err := e.do(ctx, put, http.StatusCreated, http.StatusOK, http.StatusAccepted)
		if err != nil {
			return err
		}
		notes = resp.Header.Get("OCI-Subject") == a.subject.String()
		return resp.Body.Close()
	})
	return notes, err
}

// A Document is what is published under a tag of its own in an image's repository.
type Document struct {
	// Ref names the repository, by an image in it.
	Ref, Tag string
	// Type is its media type.
	Type string
}

func (d Document) String() string { return d.Tag + " beside " + untrusted.CleanText(d.Ref) }

// Publish publishes it, in place of what the tag named.
func (d Document) Publish(ctx context.Context, data []byte, opts Options) error {
	opts.Mirrors = nil
	_, s, err := NewSources(ctx, d.Ref, opts)
	if err != nil {
		return fmt.Errorf("publish %s: %w", d, err)
	}
	s.list[0].scope = transport.PushScope
	a := &attacher{pusher: pusher{to: s.list[0], from: s, opts: opts}, what: ArtifactUpload{Type: d.Type, Config: data}}
	a.Config = data
	manifest, err := a.what.Manifest(nil)
	if err == nil {
		err = a.config(ctx)
	}
	if err == nil {
		_, err = a.put(ctx, d.Tag, types.OCIManifestSchema1, manifest)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", d, pushRemedy(err))
	}
	return nil
}

// Sign publishes a signature of what has a digest in a repository, where cosign puts
// its own in the older form. Others' that are there stay. What the key has signed
// already is signed no second time.
func Sign(ctx context.Context, ref string, digest v1.Hash, by cosign.Signer, opts Options) error {
	opts.Mirrors = nil
	parsed, s, err := NewSources(ctx, ref, opts)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	policy, err := by.Policy("the signer's")
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if err := Verify(ctx, ref, digest, policy, opts); !errors.As(err, new(*cosign.UnsignedError)) {
		return err
	}
	s.list[0].scope = transport.PushScope
	a := &attacher{pusher: pusher{to: s.list[0], from: s, opts: opts}}
	if err := a.sign(ctx, digest, parsed.Context().Name(), by); err != nil {
		return fmt.Errorf("sign %s@%s: %w", parsed.Context().Name(), digest, pushRemedy(err))
	}
	return nil
}

func (a *attacher) sign(ctx context.Context, digest v1.Hash, repository string, by cosign.Signer) error {
	tag := signatureTag(digest)
	layers, err := a.signatures(ctx, tag)
	if err != nil {
		return err
	}
	made, err := newSignature(repository, digest, by, layers)
	if err != nil {
		return err
	}
	if err := a.document(ctx, "signature", made.payload); err != nil {
		return err
	}
	a.Config = made.config
	if err := a.config(ctx); err != nil {
		return err
	}
	_, err = a.put(ctx, tag, types.OCIManifestSchema1, made.manifest)
	return err
}

// A signature is what is published of one: what was signed, and the image that holds it.
type signature struct{ payload, config, manifest []byte }

// newSignature signs what has a digest, and adds that to other signatures of it.
func newSignature(repository string, digest v1.Hash, by cosign.Signer, others []v1.Descriptor) (s signature, err error) {
	payload, text, err := by.Sign(repository, digest.String())
	if err != nil {
		return s, err
	}
	layers := append(slices.Clone(others), v1.Descriptor{
		MediaType: cosign.SimpleSigning, Digest: untrusted.SHA256(payload), Size: int64(len(payload)),
		Annotations: map[string]string{cosign.SignatureAnnotation: text},
	})
	config := v1.ConfigFile{OS: "linux", RootFS: v1.RootFS{Type: "layers"}}
	for _, l := range layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, l.Digest)
	}
	s.payload = payload
	if s.config, err = json.Marshal(config); err != nil {
		return s, err
	}
	s.manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: layers,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: untrusted.SHA256(s.config), Size: int64(len(s.config))},
	})
	return s, err
}

// Signed is a signature as a registry would have it.
func Signed(repository string, digest v1.Hash, by cosign.Signer) ([]Original, error) {
	s, err := newSignature(repository, digest, by, nil)
	return []Original{{Data: s.payload}, {Data: s.config}, {Manifest: true, Tag: signatureTag(digest), Data: s.manifest}}, err
}

// signatures are those that the tag names already.
func (a *attacher) signatures(ctx context.Context, tag string) (layers []v1.Descriptor, err error) {
	err = a.from.each(ctx, a.from.list, func(e *endpoint) error {
		data, err := e.document(ctx, "manifests/"+tag, "signature "+tag)
		if errors.As(err, new(*exchange.NotFoundError)) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untrusted.CheckDocument(data, "signature "+tag); err != nil {
			return err
		}
		m, err := v1.ParseManifest(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("signature %s: %w", tag, err)
		}
		layers = slices.Clone(m.Layers)
		return nil
	})
	return layers, err
}
