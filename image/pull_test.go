package image

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

func TestPullEveryCompression(t *testing.T) {
	w := newWire(t)
	content := someTar(t, 3<<20)
	half := len(content) / 2
	skippable := []byte{0x53, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}
	blobs := map[string][]byte{
		"tar":        content,
		"gzip":       gz(t, content),
		"zstd":       zst(t, content),
		"gzip-parts": append(gz(t, content[:half]), gz(t, content[half:])...),
		"zstd-parts": bytes.Join([][]byte{skippable, zst(t, content[:half]), skippable, zst(t, content[half:]), skippable}, nil),
	}
	for name, blob := range blobs {
		t.Run(name, func(t *testing.T) {
			digest := w.push(t, name+":1", imageOf(t, layerOf(blob, content, types.OCILayerZStd)))
			r, err := Resolve(context.Background(), w.host+"/"+name+":1", quick())
			check(t, err)
			if r.Digest != digest || r.From != w.host+"/"+name || r.Ref != w.host+"/"+name+":1" {
				t.Errorf("resolved to %+v, want digest %s", r, digest)
			}
			img, err := Open(context.Background(), r.Ref, r.Digest, quick())
			check(t, err)
			if img.Digest != digest || img.Labels["made"] != "for amd64" || img.Created.Format(time.DateOnly) != "2024-05-06" {
				t.Errorf("opened %+v", img)
			}
			if l := img.Layers[0]; l.Size != int64(len(blob)) || l.Digest != sum(blob) {
				t.Errorf("layer %+v", l)
			}
			got, err := readLayers(img)
			check(t, err)
			if !bytes.Equal(got[0], content) {
				t.Error("the layer's content differs")
			}
		})
	}
}

func TestHugeWindowIsRefused(t *testing.T) {
	w := newWire(t)
	// A frame with a window of 256 MiB and one empty block (RFC 8878, 3.1.1).
	blob := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x90, 0x01, 0x00, 0x00}
	digest := w.push(t, "x:1", imageOf(t, layerOf(blob, nil, types.OCILayerZStd)))
	_, err := pull(w.host+"/x:1", digest, quick())
	wantError[*UnsupportedError](t, err, "memory", "--long")
}
