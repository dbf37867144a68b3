package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/progress"
)

// An Upload is an image to be published.
type Upload struct {
	// Ref is registry/repository:tag; Tags are further ones in the repository.
	Ref  string
	Tags []string
	// Config is the image's configuration; PublicConfig makes it.
	Config []byte
	Layers []UploadLayer
	// Compression is "zstd" or "gzip".
	Compression string
}

// An UploadLayer is one layer to be published, lowest first.
type UploadLayer struct {
	DiffID string
	Size   int64 // of the tar, 0 if not known
	// Known is a blob that the layer is known to have become: it is used again
	// where the registry has it or takes it over.
	Known *Blob
	// Open streams the uncompressed tar. It is called for a layer that the
	// registry does not have, and again when sending it has failed.
	Open func(context.Context) (io.ReadCloser, error)
}

// A Blob is a compressed layer in a registry.
type Blob struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
	// Repository had it last: registry/repository.
	Repository string `json:"repository"`
}

// In tells whether a blob's registry is that of a reference.
func (b Blob) In(ref string) bool {
	parsed, err := name.ParseReference(ref)
	return err == nil && strings.HasPrefix(b.Repository, parsed.Context().RegistryStr()+"/")
}

// Uploaded is what became of an upload.
type Uploaded struct {
	// Digest is the manifest's.
	Digest string
	// Blobs are the layers', lowest first.
	Blobs []Blob
	// There says that the registry had it all, under each tag, and nothing was
	// done.
	There bool
}

// Push publishes an image. What the registry has is not sent again. The same
// layers, configuration and known blobs give the same digest. Mirrors are not
// asked: an image is pushed to its own registry. With an error come the blobs
// that have been sent; the others have no digest.
func Push(ctx context.Context, u Upload, opts Options) (Uploaded, error) {
	opts.Mirrors = nil
	parsed, s, err := NewSources(ctx, u.Ref, opts)
	if err != nil {
		return Uploaded{}, fmt.Errorf("push: %w", err)
	}
	s.list[0].scope = transport.PushScope
	p := &pusher{Upload: u, to: s.list[0], from: s, opts: opts}
	for _, l := range u.Layers {
		if l.Known == nil {
			l.Known = &Blob{}
		}
		p.out.Blobs = append(p.out.Blobs, *l.Known)
	}
	p.Tags = append(slices.Clone(u.Tags), parsed.Identifier())
	if _, ok := parsed.Reference.(name.Tag); !ok || parsed.Among != nil {
		return Uploaded{}, fmt.Errorf("push %s: neither a digest nor a constraint can be given to an image; write registry/repository:tag", parsed.Name())
	}
	if err := p.push(ctx); err != nil {
		return p.out, fmt.Errorf("push %s: %w", parsed.Name(), pushRemedy(err))
	}
	return p.out, nil
}

// A pusher pushes one image.
type pusher struct {
	Upload
	to   *endpoint
	from *Sources // to alone, with the patience for it
	opts Options
	out  Uploaded
}

func (p *pusher) mediaType() types.MediaType {
	if p.Compression == "gzip" {
		return types.OCILayer
	}
	return types.OCILayerZStd
}

// push sends what is missing: layers and configuration, then the manifest
// under each tag, the reference's own last.
func (p *pusher) push(ctx context.Context) error {
	if !slices.ContainsFunc(p.out.Blobs, func(b Blob) bool { return b.Digest == "" }) {
		there, err := p.there(ctx)
		if p.out.There = there; err != nil || there {
			return err
		}
	}
	group, layersCtx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for i := range p.Layers {
		if p.first(i) == i {
			group.Go(func() error { return p.layer(layersCtx, i) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i := range p.out.Blobs {
		p.out.Blobs[i] = p.out.Blobs[p.first(i)]
	}
	if err := p.config(ctx); err != nil {
		return err
	}
	return p.publish(ctx)
}

// first is the first layer that is the same as one; steps that do the same give
// the same.
func (p *pusher) first(i int) int {
	return slices.IndexFunc(p.Layers, func(l UploadLayer) bool { return l.DiffID == p.Layers[i].DiffID })
}

// manifest returns the manifest and notes its digest.
func (p *pusher) manifest() ([]byte, error) {
	config := untrusted.SHA256(p.Config)
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
		Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: config, Size: int64(len(p.Config))},
		Layers: []v1.Descriptor{},
	}
	for _, b := range p.out.Blobs {
		digest, err := v1.NewHash(b.Digest)
		if err != nil {
			return nil, fmt.Errorf("blob %q: %w", b.Digest, err)
		}
		m.Layers = append(m.Layers, v1.Descriptor{MediaType: types.MediaType(b.MediaType), Digest: digest, Size: b.Size})
	}
	data, err := json.Marshal(m)
	p.out.Digest = untrusted.SHA256(data).String()
	return data, err
}

// there tells whether each tag is the image already.
func (p *pusher) there(ctx context.Context) (bool, error) {
	if _, err := p.manifest(); err != nil {
		return false, err
	}
	for _, tag := range p.Tags {
		var found v1.Hash
		err := p.from.each(ctx, p.from.list, func(e *endpoint) (err error) {
			found, err = e.headTag(ctx, tag)
			return err
		})
		var missing *exchange.NotFoundError
		if errors.As(err, &missing) || err == nil && found.String() != p.out.Digest {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// layer makes sure that the registry has a layer.
func (p *pusher) layer(ctx context.Context, i int) error {
	l, blob := p.Layers[i], &p.out.Blobs[i]
	if blob.Digest != "" {
		have, err := p.have(ctx, blob.Digest, blob.Repository)
		if err != nil || have {
			blob.Repository = p.to.String()
			return err
		}
	}
	task := progress.Start(p.opts.Progress, "push "+short(l.DiffID), l.Size)
	err := p.from.each(ctx, p.from.list, func(e *endpoint) (err error) {
		*blob, err = p.send(ctx, l, task)
		return err
	})
	task.End(err)
	return err
}

// have tells whether the repository has a blob, or gets it from another one of
// the same registry, which may refuse that without giving a reason.
func (p *pusher) have(ctx context.Context, digest, repository string) (have bool, err error) {
	err = p.from.each(ctx, p.from.list, func(e *endpoint) error {
		head := request{method: http.MethodHead, path: "blobs/" + digest, what: "blob " + digest}
		resp, err := e.do(ctx, head, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		have = resp.StatusCode == http.StatusOK
		return resp.Body.Close()
	})
	if err != nil || have || repository == p.to.String() {
		return have, err
	}
	return p.mount(ctx, digest, repository), ctx.Err()
}

// short is how a layer is called in progress.
func short(diffID string) string {
	s := strings.TrimPrefix(diffID, "sha256:")
	return s[:min(12, len(s))]
}

// PublicConfig makes the configuration that is published of one that an engine
// made: the same for the same content, whenever and wherever that was built.
// The labels are added where the image has none of that name. Of its history is published
// what begins with telling; the rest differs from build to build.
func PublicConfig(engine []byte, created time.Time, labels map[string]string, telling string) ([]byte, error) {
	from, err := v1.ParseConfigFile(bytes.NewReader(engine))
	if err != nil {
		return nil, fmt.Errorf("read the built image's configuration: %w", err)
	}
	at := v1.Time{Time: created.UTC()}
	out := v1.ConfigFile{
		Architecture: from.Architecture, OS: cmp.Or(from.OS, "linux"), Variant: from.Variant,
		Created: at, Config: from.Config, RootFS: from.RootFS,
	}
	// What an engine notes of the container that it built in.
	out.Config.Hostname, out.Config.Domainname, out.Config.Image = "", "", ""
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, from.Config.Labels)
	if out.Config.Labels = all; len(all) == 0 {
		out.Config.Labels = nil
	}
	for i := range from.RootFS.DiffIDs {
		by := "gitboot"
		if len(from.History) == len(from.RootFS.DiffIDs) && strings.HasPrefix(from.History[i].CreatedBy, telling) {
			by = from.History[i].CreatedBy
		}
		out.History = append(out.History, v1.History{Created: at, CreatedBy: by})
	}
	return json.Marshal(out)
}
