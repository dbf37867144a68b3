package image

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// BenchmarkLayer streams a layer from a registry on loopback. The tar in
// $GITBOOT_BENCH_TAR is used, or else a small made-up one.
func BenchmarkLayer(b *testing.B) {
	content := someTar(b, 32<<20)
	if p := os.Getenv("GITBOOT_BENCH_TAR"); p != "" {
		var err error
		content, err = os.ReadFile(p)
		check(b, err)
	}
	w := newWire(b)
	for name, blob := range map[string][]byte{"tar": content, "gzip": gz(b, content), "zstd": zst(b, content)} {
		digest := w.push(b, name+":1", imageOf(b, layerOf(blob, content, types.OCILayerZStd)))
		b.Run(name, func(b *testing.B) {
			img, err := Open(context.Background(), w.host+"/"+name+":1", digest, quick())
			check(b, err)
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				rc, err := img.Layers[0].Open(context.Background())
				check(b, err)
				_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{rc}, make([]byte, 64<<10))
				check(b, err)
				check(b, rc.Close())
			}
		})
	}
}
