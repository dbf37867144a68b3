package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// A saved image is what `docker save` gives, as far as it was read: a tar that
// names only at its end what is what.
type savedImage struct {
	layers    map[string]oci.Descriptor // by name
	documents map[string][]byte
	links     map[string]string
}

// take copies an image out of docker's store into ours and returns its id
// there.
func (d *Engine) take(ctx context.Context, name string, epoch time.Time) (id string, err error) {
	body, err := d.api().open(ctx, "GET", "/images/"+name+"/get", nil)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	s := savedImage{map[string]oci.Descriptor{}, map[string][]byte{}, map[string]string{}}
	for archive := tar.NewReader(ctxio.Reader(ctx, body)); ; {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
		switch name := path.Clean(h.Name); h.Typeflag {
		case tar.TypeSymlink:
			s.links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeReg:
			if err := d.takeFile(&s, name, h.Size, archive, epoch); err != nil {
				return "", err
			}
		}
	}
	return d.publish(s, epoch)
}

// takeFile keeps a document, and stores what is none as a layer.
func (d *Engine) takeFile(s *savedImage, name string, size int64, in io.Reader, epoch time.Time) (err error) {
	if size <= oci.MaxDocument {
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if len(data) == 0 || json.Valid(data) {
			s.documents[name] = data
			return nil
		}
		in = bytes.NewReader(data)
	}
	s.layers[name], err = d.takeLayer(in, epoch)
	return err
}

// publish makes an image of ours of what was read. What differs from one build
// to the next of the same is left out.
func (d *Engine) publish(s savedImage, epoch time.Time) (id string, err error) {
	var images []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(s.documents["manifest.json"], &images); err != nil || len(images) != 1 {
		return "", fmt.Errorf("the docker daemon saves %d images, not one (%v)", len(images), err)
	}
	m := oci.Manifest{Layers: []oci.Descriptor{}}
	diffIDs := []string{}
	for _, name := range images[0].Layers {
		l, ok := s.layers[path.Clean(name)]
		if link := s.links[path.Clean(name)]; !ok && link != "" {
			l, ok = s.layers[link]
		}
		if !ok {
			return "", fmt.Errorf("the docker daemon saves an image without its layer %q", name)
		}
		m.Layers, diffIDs = append(m.Layers, l), append(diffIDs, l.Digest)
	}
	config, err := tidyConfig(s.documents[path.Clean(images[0].Config)], diffIDs, epoch)
	if err != nil {
		return "", err
	}
	if m.Config, err = d.putDocument(oci.MediaConfig, config); err != nil {
		return "", err
	}
	top, err := d.putDocument(oci.MediaManifest, oci.ManifestOf(m.Config, m.Layers))
	return top.Digest, err
}

// tidyConfig is an image's configuration with our layers, and with no time after
// the epoch.
func tidyConfig(data []byte, diffIDs []string, epoch time.Time) (map[string]any, error) {
	var all map[string]json.RawMessage
	var history struct{ History []map[string]any }
	if err := errors.Join(json.Unmarshal(data, &all), json.Unmarshal(data, &history)); err != nil {
		return nil, fmt.Errorf("read the image's configuration: %w", err)
	}
	for _, h := range history.History {
		if text, ok := h["created"].(string); ok {
			if at, err := time.Parse(time.RFC3339Nano, text); err != nil || at.After(epoch) {
				h["created"] = epoch.UTC()
			}
		}
	}
	out := map[string]any{"created": epoch.UTC(), "history": history.History, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}}
	for _, key := range []string{"architecture", "os", "variant", "config"} {
		if value, ok := all[key]; ok {
			out[key] = value
		}
	}
	return out, nil
}
