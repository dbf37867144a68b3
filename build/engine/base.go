package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/program"
)

// A tarLayer is one layer of a base that is being written.
type tarLayer struct {
	open func(context.Context) (io.ReadCloser, error)
	want string // diff id, "" if it is not known before
	// reserve is what stays free of the file system (durable.Room).
	reserve int64
}

// ImportImage brings a pulled or opened image into an engine's store, by way of
// temp, of whose file system reserve bytes stay free.
func ImportImage(ctx context.Context, e Engine, img *image.Image, platform, temp string, reserve int64) (Image, error) {
	var layers []tarLayer
	for _, l := range img.Layers {
		layers = append(layers, tarLayer{l.Open, l.DiffID, reserve})
	}
	return importLayers(ctx, e, layers, img.Env, platform, temp)
}

// ImportBuilt brings an image that another engine has built into an engine's
// store, with all of its configuration that steps depend on.
func ImportBuilt(ctx context.Context, e Engine, img Image, platform, temp string) (Image, error) {
	var layers []tarLayer
	for _, l := range img.Layers {
		layers = append(layers, tarLayer{open: l.Open, want: l.DiffID})
	}
	var from struct {
		Config json.RawMessage `json:"config"`
	}
	if err := json.Unmarshal(img.Config, &from); err != nil {
		return Image{}, fmt.Errorf("read the base's configuration: %w", err)
	}
	return importConfigured(ctx, e, layers, from.Config, platform, temp)
}

func importLayers(ctx context.Context, e Engine, layers []tarLayer, env []string, platform, temp string) (Image, error) {
	if len(env) == 0 {
		env = []string{"PATH=" + program.Path}
	}
	return importConfigured(ctx, e, layers, map[string]any{"Env": env}, platform, temp)
}

// importConfigured writes an OCI layout (image-layout.md of the image
// specification) of uncompressed layers, which every engine reads.
func importConfigured(ctx context.Context, e Engine, layers []tarLayer, config any, platform, temp string) (img Image, err error) {
	dir, err := os.MkdirTemp(temp, "base-")
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(oci.Blobs(dir), 0o700); err != nil {
		return Image{}, err
	}
	var blobs []oci.Descriptor
	for _, l := range layers {
		d, err := writeLayer(ctx, dir, l)
		if err != nil {
			return Image{}, fmt.Errorf("read the base: %w", err)
		}
		blobs = append(blobs, d)
	}
	if err := oci.WriteLayout(dir, blobs, config, architecture(platform)); err != nil {
		return Image{}, err
	}
	return e.Import(ctx, dir)
}

func writeLayer(ctx context.Context, dir string, l tarLayer) (d oci.Descriptor, err error) {
	in, err := l.open(ctx)
	if err != nil {
		return d, err
	}
	defer in.Close()
	out, err := os.CreateTemp(dir, "layer-")
	if err != nil {
		return d, err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), &durable.Reserving{Reader: in, Dir: dir, Reserve: l.reserve})
	if err := errors.Join(err, out.Close()); err != nil {
		return d, err
	}
	digest := "sha256:" + hex.EncodeToString(h.Sum(nil))
	if l.want != "" && l.want != digest {
		return d, fmt.Errorf("layer %s is in truth %s; make or fetch the image again", l.want, digest)
	}
	if n == 0 {
		return d, errors.New("it is empty: no root file system was written to standard output")
	}
	return oci.Descriptor{MediaType: oci.MediaLayer, Digest: digest, Size: n}, os.Rename(out.Name(), oci.Blob(dir, digest))
}

// architecture is that of os/architecture[/variant], this machine's for "".
func architecture(platform string) string {
	if parts := strings.Split(platform, "/"); len(parts) > 1 {
		return parts[1]
	}
	return runtime.GOARCH
}
