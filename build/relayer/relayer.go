package relayer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/engine/blobs"
	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/relayer/unpacked"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// Version changes when the same image would get other layers.
const Version = "3"

// A Store keeps the images that were made, for whoever reads them as an engine's.
type Store struct{ blobs.Store }

// Key tells images apart of which others are made.
func Key(img engine.Image) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", Version, img.Digest, img.Config))
	return hex.EncodeToString(sum[:8])
}

// Open opens the store in the folder of all engines. It is made when it is first needed.
func Open(engines string) *Store {
	return &Store{blobs.Store{Dir: filepath.Join(engines, "relayered")}}
}

// Options are of one image.
type Options struct {
	// Name is that under which is remembered where packages were.
	Name string
	// Again replaces layers that are there already: they may be damaged.
	Again bool
	// Reserve is how much of the file system stays free (durable.Room).
	Reserve int64
	// Doing is told what is done now.
	Doing func(string)
}

// Make makes an image of another and stores it.
func (s *Store) Make(ctx context.Context, img engine.Image, opts Options) (engine.Image, error) {
	if err := s.Store.Make(); err != nil {
		return engine.Image{}, err
	}
	m := making{Store: s, ctx: ctx, img: img, opts: opts}
	out, err := m.make()
	if ctx.Err() != nil {
		return engine.Image{}, context.Cause(ctx)
	}
	if err != nil {
		return engine.Image{}, engine.ExplainFull(s.Dir, fmt.Errorf("put the image into layers by packages: %w", err))
	}
	return out, nil
}

// A making is one image being made.
type making struct {
	*Store
	ctx   context.Context
	img   engine.Image
	opts  Options
	files [MaxLayers]*durable.File
}

func (m *making) make() (engine.Image, error) {
	l, places, err := m.look()
	if err != nil {
		return engine.Image{}, err
	}
	defer m.discard()
	if err := m.write(l); err != nil {
		return engine.Image{}, err
	}
	layers, err := m.publish()
	if err != nil {
		return engine.Image{}, err
	}
	id, err := m.describe(layers, l.history())
	if err == nil {
		err = m.remember(places)
	}
	if err != nil {
		return engine.Image{}, err
	}
	return m.Image(m.ctx, id)
}

// look finds out what goes where.
func (m *making) look() (*layout, map[string]Place, error) {
	tree, entries := unpacked.New(packages.IsDatabase), make([]int, len(m.img.Layers))
	err := m.each("look through", func(i int, in io.Reader) (err error) {
		entries[i], err = tree.Add(i, in)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	g, err := group(tree)
	if err != nil {
		return nil, nil, err
	}
	places := Assign(g.collect(tree), m.remembered())
	l := newLayout(tree, g, places, entries)
	if err := l.run(nil); err != nil {
		return nil, nil, err
	}
	return l, places, m.foresee(l)
}

// foresee looks whether there is room for all before any of it is written.
func (m *making) foresee(l *layout) error {
	room, err := durable.Room(m.Dir, m.opts.Reserve)
	need := int64(0)
	for _, size := range l.sizes {
		need += size
	}
	if err == nil && need > room {
		err = fmt.Errorf("its layers need %d MB once more, and %d MB may be used: %w", need/1e6, room/1e6, unix.ENOSPC)
	}
	return err
}

// each reads all layers, each of which has to be what its name says.
func (m *making) each(doing string, do func(i int, in io.Reader) error) error {
	for i, layer := range m.img.Layers {
		if m.opts.Doing != nil {
			m.opts.Doing(fmt.Sprintf("layers by packages: %s layer %d of %d", doing, i+1, len(m.img.Layers)))
		}
		if err := m.read(i, layer, do); err != nil {
			return fmt.Errorf("layer %s: %w", layer.DiffID, err)
		}
	}
	return nil
}

func (m *making) read(i int, layer engine.Layer, do func(int, io.Reader) error) (err error) {
	in, err := layer.Open(m.ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	sum := sha256.New()
	tee := io.TeeReader(ctxio.Reader(m.ctx, in), sum)
	if err := do(i, tee); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, tee); err != nil { // what pads a tar
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != layer.DiffID {
		return fmt.Errorf("it is in truth %s; build the image again without cache", got)
	}
	return nil
}

// write writes the new layers, which have no names yet.
func (m *making) write(l *layout) (err error) {
	for layer, size := range l.sizes {
		if size == 0 {
			continue
		}
		if m.files[layer], err = durable.Create(m.Dir, 0o600); err != nil {
			return err
		}
		if err := m.files[layer].Truncate(size); err != nil {
			return err
		}
	}
	err = l.run(func(layer int, data []byte, at int64) error {
		_, err := m.files[layer].WriteAt(data, at)
		return errors.Join(err, m.ctx.Err())
	})
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	return m.each("copy", func(i int, in io.Reader) error {
		return l.fill(i, in, func(layer int, content io.Reader, at int64) error {
			_, err := io.CopyBuffer(struct{ io.Writer }{io.NewOffsetWriter(m.files[layer], at)}, content, buf)
			return err
		})
	})
}

// digestOf reads a layer to its end, and says how many bytes that were.
func digestOf(ctx context.Context, in io.Reader) (digest string, size int64, err error) {
	sum := sha256.New()
	size, err = io.Copy(sum, ctxio.Reader(ctx, in))
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), size, err
}

// publish gives the new layers their names, and takes those that are there already.
func (m *making) publish() (out []oci.Descriptor, err error) {
	for _, f := range m.files {
		if f == nil {
			continue
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		digest, size, err := digestOf(m.ctx, f)
		if err != nil {
			return nil, err
		}
		d := oci.Descriptor{MediaType: oci.MediaLayer, Digest: digest, Size: size}
		path := oci.Blob(m.Dir, d.Digest)
		if _, err = os.Stat(path); err != nil || m.opts.Again {
			err = f.Publish(path)
		}
		f.Discard()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

func (m *making) discard() {
	for _, f := range m.files {
		if f != nil {
			f.Discard()
		}
	}
}

// describe stores the configuration, which is the old one but for the layers, and the
// manifest, which makes an image of it all.
func (m *making) describe(layers []oci.Descriptor, said []string) (id string, err error) {
	config := map[string]json.RawMessage{}
	if err := json.Unmarshal(m.img.Config, &config); err != nil {
		return "", fmt.Errorf("read the image's configuration: %w", err)
	}
	diffIDs, history := []string{}, []any{}
	for i, d := range layers {
		step := map[string]any{"created_by": said[i]}
		if created, ok := config["created"]; ok {
			step["created"] = created
		}
		diffIDs, history = append(diffIDs, d.Digest), append(history, step)
	}
	var c oci.Descriptor
	if config["rootfs"], err = json.Marshal(map[string]any{"type": "layers", "diff_ids": diffIDs}); err == nil {
		config["history"], err = json.Marshal(history)
	}
	if err == nil {
		c, err = m.document(oci.MediaConfig, config)
	}
	if err != nil {
		return "", err
	}
	top, err := m.document(oci.MediaManifest, oci.ManifestOf(c, layers))
	return top.Digest, err
}

func (m *making) document(media string, v any) (oci.Descriptor, error) {
	data, d, err := oci.Marshal(media, v)
	if err != nil {
		return d, err
	}
	return d, durable.WriteFile(oci.Blob(m.Dir, d.Digest), data, 0o600)
}

// placesFolder holds what is remembered, a file for each image's name.
const placesFolder = "places"

// memory is the file of what is remembered of an image.
func (m *making) memory() string { return filepath.Join(m.Dir, placesFolder, m.opts.Name) }

// remembered is nothing where there is no memory, or a damaged one: then more layers
// change, once.
func (m *making) remembered() (places map[string]Place) {
	data, err := durable.ReadSummed(m.memory())
	if err != nil || json.Unmarshal(data, &places) != nil {
		return nil
	}
	return places
}

func (m *making) remember(places map[string]Place) error {
	data, err := json.Marshal(places)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(filepath.Dir(m.memory()), 0o700); err != nil {
		return err
	}
	return durable.WriteSummed(m.memory(), data, 0o600)
}
