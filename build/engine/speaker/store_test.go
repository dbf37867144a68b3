package speaker

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A builder reads its base and adds to the store, and no more.
func TestStoreIsScoped(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	put := func(data string) ocispec.Descriptor {
		d := digest.FromString(data)
		path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
		return ocispec.Descriptor{Digest: d, Size: int64(len(data))}
	}
	layer, other := put("layer"), put("of another image")
	base := put(`{"layers":[{"digest":"` + layer.Digest.String() + `"}],"config":{"digest":"` + put("{}").Digest.String() + `"}}`)
	s, err := open(dir, base.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []ocispec.Descriptor{layer, base} {
		if data, err := content.ReadBlob(ctx, s, d); err != nil || int64(len(data)) != d.Size {
			t.Errorf("the base's blob is not readable: %q %v", data, err)
		}
	}
	if _, err := s.ReaderAt(ctx, other); !errdefs.IsNotFound(err) {
		t.Errorf("another image's blob: %v", err)
	}
	if _, err := s.Info(ctx, other.Digest); !errdefs.IsNotFound(err) {
		t.Errorf("another image's blob: %v", err)
	}
	_, updated := s.Update(ctx, content.Info{Digest: layer.Digest})
	_, listed := s.ListStatuses(ctx)
	for what, err := range map[string]error{
		"delete": s.Delete(ctx, layer.Digest), "walk": s.Walk(ctx, func(content.Info) error { return nil }), "update": updated, "list": listed,
	} {
		if !errdefs.IsPermissionDenied(err) {
			t.Errorf("%s: %v", what, err)
		}
	}

	// Two builds write the same blob; one ends, the other is cut.
	second, err := open(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	fresh := []byte("fresh")
	d := ocispec.Descriptor{Digest: digest.FromBytes(fresh), Size: int64(len(fresh))}
	cut, err := second.Writer(ctx, content.WithRef("same"), content.WithDescriptor(d))
	if err != nil {
		t.Fatal(err)
	}
	if err := content.WriteBlob(ctx, s, "same", bytes.NewReader(fresh), d); err != nil {
		t.Error(err)
	}
	if err := errors.Join(cut.Close(), second.discard(ctx), s.discard(ctx)); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "ingest")); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
	if _, err := s.Writer(ctx, content.WithRef("again"), content.WithDescriptor(d)); !errdefs.IsAlreadyExists(err) {
		t.Errorf("a blob that is there is taken again: %v", err)
	}
}
