package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/archive"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// A layout is an OCI image layout (image-spec, image-layout.md).
type layout struct {
	open archive.Member
	path string // for messages
}

func openLayoutFolder(ctx context.Context, src archive.Place, opts Options) (*Image, error) {
	fsys, err := src.Folder()
	if err != nil {
		return nil, err
	}
	if _, err := fs.Stat(fsys, "index.json"); err != nil {
		return nil, fmt.Errorf("the folder is no OCI layout: %w; name a layout, or a tar of the root file system", err)
	}
	open := func(ctx context.Context, name string) (io.ReadCloser, int64, error) {
		f, err := fsys.Open(name)
		if err != nil {
			return nil, 0, err
		}
		info, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return ctxio.ReadCloser(ctx, f), info.Size(), nil
	}
	return openLayout(ctx, layout{open, src.Path}, opts)
}

func openLayout(ctx context.Context, l layout, opts Options) (*Image, error) {
	var marker struct{ ImageLayoutVersion string }
	if err := l.open.JSON(ctx, "oci-layout", &marker); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(marker.ImageLayoutVersion, "1.") {
		return nil, &untrusted.UnsupportedError{What: "the OCI layout", Reason: fmt.Sprintf("its version is %q", untrusted.Printable(marker.ImageLayoutVersion, 20)), Remedy: "write it in version 1.0.0"}
	}
	data, err := l.open.Read(ctx, "index.json")
	if err != nil {
		return nil, err
	}
	if err := untrusted.CheckDocument(data, "index.json"); err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("index.json: %s", untrusted.Printable(err.Error(), 200))
	}
	digest, err := chooseImage(index.Manifests, l.path, opts.Platform)
	if err != nil {
		return nil, err
	}
	return openManifest(ctx, l, digest, l.path, opts)
}

// chooseImage picks from a layout's index, which lists images as well as
// platforms: several must differ in platform.
func chooseImage(list []v1.Descriptor, what, platform string) (v1.Hash, error) {
	if len(list) > untrusted.MaxImages {
		return v1.Hash{}, untrusted.TooMany(what, untrusted.MaxImages, "images")
	}
	var names, platforms []string
	digests := map[v1.Hash]bool{}
	unclear := false
	for _, d := range list {
		if !isImage(d) || digests[d.Digest] {
			continue
		}
		digests[d.Digest] = true
		names = append(names, imageName(d))
		p := ""
		if d.Platform != nil {
			p = normal(*d.Platform).String()
		}
		unclear = unclear || p == "" || slices.Contains(platforms, p)
		platforms = append(platforms, p)
	}
	switch {
	case len(digests) == 0:
		return v1.Hash{}, errors.New("the archive lists no image; make it again")
	case len(digests) == 1:
		for d := range digests {
			return d, nil
		}
	case unclear:
		return v1.Hash{}, manyImages(names)
	}
	return choosePlatform(list, what, platform)
}

func manyImages(names []string) error {
	slices.Sort(names)
	return &untrusted.UnsupportedError{What: "the archive", Reason: "it holds several images: " + untrusted.Few(names), Remedy: "save one of them alone"}
}

func imageName(d v1.Descriptor) string {
	for _, key := range []string{"io.containerd.image.name", "org.opencontainers.image.ref.name"} {
		if n := d.Annotations[key]; n != "" {
			return untrusted.Printable(n, 120)
		}
	}
	return untrusted.Printable(d.Digest.String(), 80)
}

func (l layout) Manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	data, err := l.open.Read(ctx, blobPath(digest))
	if err != nil {
		return nil, err
	}
	if got := untrusted.SHA256(data); got != digest {
		return nil, &untrusted.DigestError{What: "manifest " + digest.String(), From: l.path, Want: digest.String(), Got: got.String()}
	}
	return data, nil
}

func (l layout) Blob(digest v1.Hash, size int64) func(context.Context) (io.ReadCloser, error) {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, _, err := l.open(ctx, blobPath(digest))
		if err != nil {
			return nil, fmt.Errorf("read blob of archive %s: %w", l.path, err)
		}
		return untrusted.NewVerifier(rc, digest, size, "blob "+digest.String(), func() string { return l.path }, nil), nil
	}
}

// Parts gives none: what is on this machine is read as a whole.
func (l layout) Parts(v1.Hash, int64) func(context.Context, int64, int64) (Part, error) { return nil }

func blobPath(d v1.Hash) string { return "blobs/" + d.Algorithm + "/" + d.Hex }
