package image

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A small document may take much memory to read: a manifest of 8 MB took 1.6 GB.
func TestDocumentsOfManyValues(t *testing.T) {
	many := func(head, value string, n int, tail string) []byte {
		return []byte(head + strings.Repeat(value+",", n) + value + tail)
	}
	for what, read := range map[string]func() error{
		"100000 values": func() error {
			_, err := kindOf(many(`{"config":{},"layers":[`, `{}`, untrusted.MaxValues+1, `]}`), v1.Hash{})
			return err
		},
		"100000 values ": func() error {
			_, err := parseConfig(many(`{"history":[`, `{}`, untrusted.MaxValues+1, `]}`), "the configuration")
			return err
		},
		"1000 images": func() error {
			_, err := choosePlatform(make([]v1.Descriptor, untrusted.MaxImages+1), "the index", "linux/amd64")
			return err
		},
		"1000 images ": func() error {
			_, err := chooseImage(make([]v1.Descriptor, untrusted.MaxImages+1), "the index", "linux/amd64")
			return err
		},
		"499 layers": func() error {
			_, err := parseConfig(many(`{"rootfs":{"diff_ids":[`, `"`+sum(nil)+`"`, untrusted.MaxLayers, `]}}`), "the configuration")
			return err
		},
	} {
		wantError[*UnsupportedError](t, read(), strings.TrimSpace(what))
	}
	if _, err := parseConfig(many(`{"author":"\",`, ",", untrusted.MaxValues, `"}`), "the configuration"); err != nil {
		t.Error("what is in a string counts:", err)
	}
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	vast := &v1.Manifest{Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: digest, Size: untrusted.MaxBlob + 1}}
	wantError[*UnsupportedError](t, checkManifest(vast), "its size is not possible")
}
