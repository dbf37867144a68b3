package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// smallLayer is the size of the layer that changes, in bytes.
const smallLayer = 100_000

// withLayer pushes the image ref with one small layer more, as tag; n decides
// the layer's content. The blobs below are in the registry already.
func (s *site) withLayer(ctx context.Context, ref, tag string, n int) (string, error) {
	return s.once(fmt.Sprint(ref, tag), func() (string, error) {
		from, err := name.NewTag(ref, name.Insecure)
		if err != nil {
			return "", err
		}
		img, err := remote.Image(from, remote.WithContext(ctx))
		if err != nil {
			return "", err
		}
		// The default, gzip, is what every peer can read.
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(smallTar(n))), nil
		}, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return "", err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return "", err
		}
		to := from.Context().Tag(tag)
		return to.Name(), remote.Write(to, img, remote.WithContext(ctx))
	})
}

// smallContent is the changing file: bytes that do not compress.
func smallContent(n int) []byte {
	var seed [32]byte
	seed[0] = byte(n)
	data := make([]byte, smallLayer)
	rand.NewChaCha8(seed).Read(data)
	return data
}

func smallTar(n int) []byte { return tarOf("opt/bench/data", smallContent(n)) }

// tarOf is a tar of one file.
func tarOf(path string, content []byte) []byte {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	// Writing to memory fails only where the header is wrong.
	if err := errors.Join(writeFile(w, path, 0o644, content), w.Close()); err != nil {
		panic(err)
	}
	return buf.Bytes()
}

func writeFile(w *tar.Writer, path string, mode int64, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: path, Mode: mode, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// saveBlob writes the lowest layer of an image, as the registry holds it, to a
// file.
func saveBlob(ctx context.Context, ref, path string) error {
	tag, err := name.NewTag(ref, name.Insecure)
	if err != nil {
		return err
	}
	img, err := remote.Image(tag, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	return saveLayer(layers[0], path)
}

func saveLayer(l v1.Layer, path string) error {
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	return errors.Join(save(path, r), r.Close())
}
