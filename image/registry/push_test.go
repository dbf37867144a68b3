package registry

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

func TestCompressionIsDeterministic(t *testing.T) {
	var data bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&data, "%d %x\n", i, i*i)
	}
	for _, kind := range []string{"zstd", "gzip"} {
		var sums []string
		for _, chunk := range []int{777, 4096, 1 << 20} {
			var out bytes.Buffer
			z, err := newCompressor(&out, kind)
			if err != nil {
				t.Fatal(err)
			}
			for part := range slices.Chunk(data.Bytes(), chunk) {
				if _, err := z.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			sums = append(sums, untrusted.SHA256(out.Bytes()).String())
		}
		if len(slices.Compact(sums)) != 1 {
			t.Errorf("%s: %v", kind, sums)
		}
	}
}
