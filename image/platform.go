package image

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// maxIndexes bounds indexes that hold indexes.
const maxIndexes = 4

// Architecture is that of a platform, "os/architecture[/variant]", "" of none.
func Architecture(platform string) string {
	if parts := strings.Split(platform, "/"); len(parts) > 1 {
		return parts[1]
	}
	return ""
}

// platformManifest goes from digest, through indexes, to one manifest.
func platformManifest(ctx context.Context, from store, digest v1.Hash, what, platform string) (*v1.Manifest, v1.Hash, error) {
	for range maxIndexes {
		data, err := from.Manifest(ctx, digest)
		if err != nil {
			return nil, digest, err
		}
		isIndex, err := kindOf(data, digest)
		if err != nil {
			return nil, digest, err
		}
		if !isIndex {
			m, err := v1.ParseManifest(bytes.NewReader(data))
			if err != nil {
				return nil, digest, fmt.Errorf("manifest %s: %s", digest, untrusted.Printable(err.Error(), 200))
			}
			return m, digest, nil
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(data))
		if err != nil {
			return nil, digest, fmt.Errorf("index %s: %s", digest, untrusted.Printable(err.Error(), 200))
		}
		if digest, err = choosePlatform(index.Manifests, what, platform); err != nil {
			return nil, digest, err
		}
	}
	return nil, digest, &untrusted.UnsupportedError{What: what, Reason: fmt.Sprintf("more than %d indexes within each other", maxIndexes), Remedy: "name the platform's manifest by its digest"}
}

// kindOf tells an index from a manifest by content, whatever a server says.
func kindOf(data []byte, digest v1.Hash) (isIndex bool, err error) {
	if err := untrusted.CheckDocument(data, "manifest "+digest.String()); err != nil {
		return false, err
	}
	var doc struct {
		SchemaVersion int
		MediaType     types.MediaType
		Manifests     []json.RawMessage
		Config        *json.RawMessage
		FSLayers      json.RawMessage `json:"fsLayers"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return false, fmt.Errorf("manifest %s: not JSON; check what was pushed there", digest)
	}
	switch {
	case doc.SchemaVersion == 1 || doc.FSLayers != nil:
		return false, &untrusted.UnsupportedError{What: "manifest " + digest.String(), Reason: "docker's schema 1, obsolete since 2017", Remedy: "push the image again with a current docker, podman or skopeo"}
	case doc.Manifests != nil && doc.Config == nil:
		return true, nil
	case doc.Config != nil && doc.Manifests == nil:
		return false, nil
	}
	return false, &untrusted.UnsupportedError{What: "manifest " + digest.String(), Reason: "neither an image's manifest nor an index", Remedy: "check what was pushed there"}
}

// choosePlatform picks the entry of an index that is made for want.
func choosePlatform(list []v1.Descriptor, what, want string) (v1.Hash, error) {
	if len(list) > untrusted.MaxImages {
		return v1.Hash{}, untrusted.TooMany(what, untrusted.MaxImages, "images")
	}
	p, err := parsePlatform(want)
	if err != nil {
		return v1.Hash{}, err
	}
	var images []v1.Descriptor
	for _, d := range list {
		if isImage(d) {
			images = append(images, d)
		}
	}
	if len(images) == 1 && images[0].Platform == nil {
		return images[0].Digest, nil
	}
	var available []string
	var loose *v1.Descriptor
	for _, d := range images {
		if d.Platform == nil {
			continue
		}
		have := normal(*d.Platform)
		if have.OS == p.OS && have.Architecture == p.Architecture {
			if have.Variant == p.Variant {
				return d.Digest, nil
			}
			if loose == nil && (have.Variant == "" || p.Variant == "") {
				loose = &d
			}
		}
		available = append(available, have.String())
	}
	if loose != nil {
		return loose.Digest, nil
	}
	if len(available) == 0 {
		return v1.Hash{}, noPlatform(images, what)
	}
	slices.Sort(available)
	return v1.Hash{}, &PlatformError{what, p.String(), slices.Compact(available)}
}

// noPlatform says why nothing can be chosen from an index that names no
// platform.
func noPlatform(images []v1.Descriptor, what string) error {
	if len(images) == 0 {
		return &untrusted.UnsupportedError{What: what, Reason: "it is an index that lists no image", Remedy: "check what was pushed there"}
	}
	var digests []string
	for _, d := range images {
		digests = append(digests, untrusted.Printable(d.Digest.String(), 80))
	}
	return &untrusted.UnsupportedError{What: what, Reason: fmt.Sprintf("it is an index of %d images and says of none which platform it is for", len(images)), Remedy: "push it again with platforms, or name one of them: " + untrusted.Few(digests)}
}

// isImage leaves out attestations and other artifacts beside the images.
func isImage(d v1.Descriptor) bool {
	if d.Platform != nil && (d.Platform.OS == "unknown" || d.Platform.Architecture == "unknown") {
		return false
	}
	return d.MediaType.IsImage() || d.MediaType.IsIndex()
}

func parsePlatform(s string) (v1.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return v1.Platform{}, fmt.Errorf("platform %q: not of the form os/architecture[/variant]; write for example linux/arm64", untrusted.Printable(s, 60))
	}
	p := v1.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return normal(p), nil
}

// normal drops the variant that says nothing, and what words cannot hold.
func normal(p v1.Platform) v1.Platform {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	return v1.Platform{OS: untrusted.Printable(p.OS, 30), Architecture: untrusted.Printable(p.Architecture, 30), Variant: untrusted.Printable(p.Variant, 30)}
}

// checkPlatform holds a configuration against the wanted platform, as far as
// it says what it is for.
func checkPlatform(c *v1.ConfigFile, what, want string) error {
	p, err := parsePlatform(want)
	if err != nil {
		return err
	}
	have := normal(v1.Platform{OS: c.OS, Architecture: c.Architecture})
	if have.OS == "" || have.Architecture == "" || have.OS == p.OS && have.Architecture == p.Architecture {
		return nil
	}
	return &PlatformError{what, p.String(), []string{have.String()}}
}

// checkManifest refuses what is no image of plain layers, before anything of
// it is fetched.
func checkManifest(m *v1.Manifest) error {
	if !m.Config.MediaType.IsConfig() {
		return &untrusted.UnsupportedError{What: "the manifest", Reason: fmt.Sprintf("its configuration is a %s, not an image's", untrusted.Printable(string(m.Config.MediaType), 80)), Remedy: "name an image that holds a root file system"}
	}
	for _, d := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != 64 || d.Size < 0 || d.Size > untrusted.MaxBlob {
			return &untrusted.UnsupportedError{What: "blob " + untrusted.Printable(d.Digest.String(), 150), Reason: "its digest is not a sha256, or its size is not possible", Remedy: "push the image again"}
		}
	}
	if len(m.Layers) > untrusted.MaxLayers {
		return untrusted.TooMany("the manifest", untrusted.MaxLayers, "layers")
	}
	for _, d := range m.Layers {
		if err := checkLayerType(d); err != nil {
			return err
		}
	}
	return nil
}

func checkLayerType(d v1.Descriptor) error {
	t := string(d.MediaType)
	what := fmt.Sprintf("layer %s (%s)", d.Digest, untrusted.Printable(t, 100))
	switch {
	case strings.Contains(t, "encrypted"):
		return &untrusted.UnsupportedError{What: what, Reason: "it is encrypted", Remedy: "push the image without encryption"}
	case isForeign(d),
		strings.HasPrefix(t, "application/vnd.oci.image.layer.v1.tar"),
		strings.HasPrefix(t, "application/vnd.docker.image.rootfs.diff.tar"),
		t == string(types.DockerUncompressedLayer):
		return nil
	}
	return &untrusted.UnsupportedError{What: what, Reason: "it is not a layer of a file system", Remedy: "name an image that holds a root file system"}
}

// isForeign recognises layers that a registry may not have, because their
// maker wants them fetched from elsewhere.
func isForeign(d v1.Descriptor) bool {
	t := string(d.MediaType)
	return t == string(types.DockerForeignLayer) || strings.HasPrefix(t, "application/vnd.oci.image.layer.nondistributable.v1.tar")
}

// foreign says of a layer that is not there that it may be elsewhere.
func foreign(open opener, d v1.Descriptor) opener {
	return func(ctx context.Context) (io.ReadCloser, error) {
		rc, err := open(ctx)
		if missing := (*exchange.NotFoundError)(nil); errors.As(err, &missing) || errors.Is(err, fs.ErrNotExist) {
			return nil, &untrusted.UnsupportedError{What: fmt.Sprintf("layer %s (%s)", d.Digest, untrusted.Printable(string(d.MediaType), 100)), Reason: "its bytes lie outside of the registry", Remedy: "push the image with its foreign layers included"}
		}
		return rc, err
	}
}

// A PlatformError says that an image exists, but not for this platform.
type PlatformError struct {
	Image     string
	Want      string
	Available []string
}

func (e *PlatformError) Error() string {
	return fmt.Sprintf("%s is not made for %s, only for: %s; set platform to one of them, or build it for %s",
		e.Image, e.Want, untrusted.Few(e.Available), e.Want)
}
