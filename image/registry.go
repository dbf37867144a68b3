package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/registry"
)

// What is pushed, and what became of it; see package registry.
type (
	Resolved    = registry.Resolved
	Upload      = registry.Upload
	UploadLayer = registry.UploadLayer
	Uploaded    = registry.Uploaded
	Blob        = registry.Blob

	ArtifactUpload = registry.ArtifactUpload
	ArtifactFile   = registry.ArtifactFile
	Attached       = registry.Attached

	Document = registry.Document
)

// Resolve asks for the digest of ref.
func Resolve(ctx context.Context, ref string, opts Options) (Resolved, error) {
	return registry.Resolve(ctx, ref, opts.withDefaults().registry())
}

// Push publishes an image.
func Push(ctx context.Context, u Upload, opts Options) (Uploaded, error) {
	return registry.Push(ctx, u, opts.withDefaults().registry())
}

// Attach publishes something about an image.
func Attach(ctx context.Context, u ArtifactUpload, opts Options) (Attached, error) {
	return registry.Attach(ctx, u, opts.withDefaults().registry())
}

// PublishDocument publishes a document, in place of what was there.
func PublishDocument(ctx context.Context, d Document, data []byte, opts Options) error {
	return d.Publish(ctx, data, opts.withDefaults().registry())
}

// FetchDocument fetches a document, of which it is said how large it may be; found says
// whether there is one.
func FetchDocument(ctx context.Context, d Document, limit int64, opts Options) (data []byte, found bool, err error) {
	data, err = d.Fetch(ctx, limit, opts.withDefaults().registry())
	if errors.As(err, new(*NotFoundError)) {
		return nil, false, nil
	}
	return data, err == nil, err
}

// Sign publishes a signature of what has a digest ("sha256:…") in ref's repository.
func Sign(ctx context.Context, ref, digest string, by cosign.Signer, opts Options) error {
	h, err := v1.NewHash(digest)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return registry.Sign(ctx, ref, h, by, opts.withDefaults().registry())
}

// CredentialFile writes, in docker's and podman's format, the credentials that
// some references are asked with, and no others.
func CredentialFile(ctx context.Context, refs []string, opts Options) ([]byte, error) {
	return registry.CredentialFile(ctx, refs, opts.registry())
}

// CheckTokenServer says what is wrong with a name among Options.TokenServers.
func CheckTokenServer(host string) error { return registry.CheckTokenServer(host) }

// PublicConfig makes the configuration that is published of one that an engine
// made.
func PublicConfig(engine []byte, created time.Time, labels map[string]string, telling string) ([]byte, error) {
	return registry.PublicConfig(engine, created, labels, telling)
}
