package image

import (
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/registry"
)

// Blobs are those of an image's layers in the repository that ref names, by diff
// id: as they are there, they may be part of another image of the registry.
func (img *Image) Blobs(ref string) map[string]Blob {
	parsed, err := registry.ParseReference(ref)
	if err != nil {
		return nil // it could not have been opened
	}
	out := map[string]Blob{}
	for _, l := range img.Layers {
		kind := types.MediaType(l.MediaType)
		if kind == types.DockerLayer {
			kind = types.OCILayer // the same by another name
		}
		if kind == types.OCILayer || kind == types.OCILayerZStd {
			out[l.DiffID] = Blob{MediaType: string(kind), Digest: l.Digest, Size: l.Size, Repository: parsed.Context().Name()}
		}
	}
	return out
}
