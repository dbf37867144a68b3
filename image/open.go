package image

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/image/registry"
)

// A store is where an image's documents and blobs are fetched from by digest:
// a registry or an OCI layout.
type store interface {
	// Manifest returns verified bytes.
	Manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// Blob describes how to read a verified blob; nothing is read yet.
	Blob(digest v1.Hash, size int64) func(context.Context) (io.ReadCloser, error)
	// Parts describes how to read parts of it, which nothing verifies; nil where it comes
	// as a whole.
	Parts(digest v1.Hash, size int64) func(ctx context.Context, off, n int64) (Part, error)
}

// Open fetches the manifest and configuration of ref at digest for the wanted
// platform. digest may name an index; "" resolves ref first.
func Open(ctx context.Context, ref, digest string, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	if digest == "" {
		r, err := Resolve(ctx, ref, opts)
		if err != nil {
			return nil, err
		}
		digest = r.Digest
	}
	want, err := v1.NewHash(digest)
	if err != nil {
		return nil, fmt.Errorf("open %s: digest %q is not sha256:<64 hex digits>", untrusted.CleanText(ref), untrusted.Printable(digest, 90))
	}
	asked := opts.registry()
	if opts.Local == nil {
		asked.Given = &registry.Counter{}
	}
	parsed, s, err := registry.NewSources(ctx, ref, asked)
	if err != nil {
		return nil, err
	}
	from := &noting{store: s}
	img, err := openManifest(ctx, from, want, parsed.Name(), opts)
	if err != nil {
		return nil, fmt.Errorf("open %s at %s: %w", parsed.Name(), digest, err)
	}
	img.Originals = append(img.Originals, from.originals...)
	img.Registry, img.given = parsed.Context().RegistryStr(), asked.Given
	return img, nil
}

// openManifest follows an index to the platform's manifest and reads it with
// its configuration.
func openManifest(ctx context.Context, from store, digest v1.Hash, what string, opts Options) (*Image, error) {
	m, digest, err := platformManifest(ctx, from, digest, what, opts.Platform)
	if err != nil {
		return nil, err
	}
	if err := checkManifest(m); err != nil {
		return nil, err
	}
	config, original, err := readConfig(ctx, from, m.Config)
	if err != nil {
		return nil, err
	}
	if err := checkPlatform(config, what, opts.Platform); err != nil {
		return nil, err
	}
	if len(config.RootFS.DiffIDs) != len(m.Layers) {
		return nil, fmt.Errorf("manifest %s has %d layers, its configuration %d diff ids; build and push the image again", digest, len(m.Layers), len(config.RootFS.DiffIDs))
	}
	img, history := newImage(digest, config), historyOf(config)
	img.Originals = []Original{{Data: original}}
	for i, d := range m.Layers {
		blob := from.Blob(d.Digest, d.Size)
		if isForeign(d) {
			blob = foreign(blob, d)
		}
		img.Layers = append(img.Layers, Layer{
			DiffID:    config.RootFS.DiffIDs[i].String(),
			Digest:    d.Digest.String(),
			Size:      d.Size,
			MediaType: string(d.MediaType),
			CreatedBy: history[i],
			blob:      blob,
			progress:  opts.Progress,
			allowed:   expand.LayerDiet(),
			expansion: opts.Expansion,
			Chunked:   chunkedOf(from, d, opts.Expansion.Bound(d.Size), opts.Log),
		})
	}
	return img, nil
}

func newImage(digest v1.Hash, config *v1.ConfigFile) *Image {
	return &Image{Digest: digest.String(), Labels: config.Config.Labels, Env: config.Config.Env, Created: config.Created.Time}
}

// maxHistory bounds what is told of one layer's history, in bytes.
const maxHistory = 8 << 10

// History is what a configuration's history says of each layer (Layer.CreatedBy).
func History(config []byte) ([]string, error) {
	c, err := parseConfig(config, "the configuration")
	if err != nil {
		return nil, err
	}
	return historyOf(c), nil
}

// historyOf has an element for each layer. Steps that gave none are left out; a history of
// another number of layers says nothing.
func historyOf(config *v1.ConfigFile) []string {
	var said []string
	for _, step := range config.History {
		if !step.EmptyLayer {
			said = append(said, untrusted.Printable(step.CreatedBy, maxHistory))
		}
	}
	if n := len(config.RootFS.DiffIDs); len(said) != n {
		return make([]string, n)
	}
	return said
}

// readConfig reads and verifies a configuration.
func readConfig(ctx context.Context, from store, d v1.Descriptor) (config *v1.ConfigFile, original []byte, err error) {
	what := "configuration " + d.Digest.String()
	if d.Size > untrusted.MaxDocument {
		return nil, nil, untrusted.TooBig(what)
	}
	if original, err = untrusted.ReadAll(ctx, from.Blob(d.Digest, d.Size)); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", what, err)
	}
	config, err = parseConfig(original, what)
	return config, original, err
}

func parseConfig(data []byte, what string) (*v1.ConfigFile, error) {
	if err := untrusted.CheckDocument(data, what); err != nil {
		return nil, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: not an image configuration: %s", what, untrusted.Printable(err.Error(), 200))
	}
	if len(config.RootFS.DiffIDs) > untrusted.MaxLayers {
		return nil, untrusted.TooMany(what, untrusted.MaxLayers, "layers")
	}
	for _, id := range config.RootFS.DiffIDs {
		if id.Algorithm != "sha256" {
			return nil, fmt.Errorf("%s: diff id %s is no sha256", what, untrusted.Printable(id.String(), 90))
		}
	}
	return config, nil
}
