package script

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/compression"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/tests/lab"
)

// writeRandom makes a file that no compressor makes smaller within a block of
// squashfs. It repeats itself every half megabyte, which zstd sees and squashfs
// does not: a layer may so be short on the wire and long on the stage.
func writeRandom(path string, size int) error {
	r := rand.New(rand.NewPCG(1, uint64(size)))
	part := make([]byte, min(size, 512<<10))
	for i := range part {
		part[i] = byte(r.Uint32())
	}
	data := bytes.Repeat(part, (size+len(part)-1)/len(part))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data[:size], 0o644)
}

// writeTar packs a folder; equal folders give equal archives.
func writeTar(w io.Writer, dir string) error {
	out := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		return addFile(out, dir, path, d)
	})
	if err != nil {
		return err
	}
	return out.Close()
}

func addFile(out *tar.Writer, dir, path string, d fs.DirEntry) error {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return err
	}
	h := &tar.Header{Name: rel, Mode: 0o644, ModTime: time.Unix(1e9, 0), Format: tar.FormatPAX}
	if d.IsDir() {
		h.Name, h.Mode, h.Typeflag = rel+"/", 0o755, tar.TypeDir
		return out.WriteHeader(h)
	}
	if d.Type() == fs.ModeSymlink {
		if h.Linkname, err = os.Readlink(path); err != nil {
			return err
		}
		h.Mode, h.Typeflag = 0o777, tar.TypeSymlink
		return out.WriteHeader(h)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if info, err := d.Info(); err != nil {
		return err
	} else if info.Mode()&0o111 != 0 {
		h.Mode = 0o755
	}
	h.Size = int64(len(data))
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

// push stores an image of layers, lowest first, and returns its digest.
func push(ctx context.Context, ref string, layers ...mutate.Addendum) (string, error) {
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		return "", err
	}
	img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Labels: map[string]string{"org.opencontainers.image.title": tag.RepositoryStr()}},
	})
	if err != nil {
		return "", err
	}
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	if img, err = mutate.Append(img, layers...); err != nil {
		return "", err
	}
	if err := remote.Write(tag, img, remote.WithContext(ctx)); err != nil {
		return "", err
	}
	digest, err := img.Digest()
	return digest.String(), err
}

// layerOf is a folder as a layer.
func layerOf(dir string) (mutate.Addendum, error) {
	var archive bytes.Buffer
	if err := writeTar(&archive, dir); err != nil {
		return mutate.Addendum{}, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompression(compression.ZStd), tarball.WithMediaType(types.OCILayerZStd))
	return mutate.Addendum{Layer: layer}, err
}

// chunkedLayerOf is one as zstd:chunked, made beside the folder.
func chunkedLayerOf(dir string) (mutate.Addendum, error) {
	var archive bytes.Buffer
	if err := writeTar(&archive, dir); err != nil {
		return mutate.Addendum{}, err
	}
	path := fmt.Sprintf("%s-%x.tar", dir, sha256.Sum256(archive.Bytes()))
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		return mutate.Addendum{}, err
	}
	made, err := lab.Chunked(context.Background(), path)
	if err != nil {
		return mutate.Addendum{}, err
	}
	layer, err := tarball.LayerFromFile(made.Packed, tarball.WithMediaType(types.OCILayerZStd))
	return mutate.Addendum{Layer: layer, Annotations: made.Annotations}, err
}
