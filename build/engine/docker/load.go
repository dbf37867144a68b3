package docker

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/internal/plain"
)

// loaded returns docker's name of an image of ours, and brings it into docker's
// store if it is not, or no longer, there.
func (d *Engine) loaded(ctx context.Context, id string) (name string, err error) {
	m, err := d.Manifest(id)
	if err != nil {
		return "", err
	}
	name = d.name(id)
	if err := d.api().call(ctx, "GET", "/images/"+name+"/json", nil, nil); !isAbsent(err) {
		return name, err
	}
	r, w := io.Pipe()
	go func() { w.CloseWithError(d.writeArchive(w, name, m)) }()
	defer r.Close()
	answer, err := d.api().open(ctx, "POST", "/images/load?quiet=1", r)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, answer.Close()) }()
	for lines := json.NewDecoder(answer); ; {
		var line struct{ Error string }
		switch err := lines.Decode(&line); {
		case err == io.EOF:
			return name, nil
		case err != nil:
			return "", err
		case line.Error != "":
			return "", fmt.Errorf("the docker daemon says: %s", plain.Line(line.Error))
		}
	}
}

// writeArchive writes an image in the form of `docker save`.
func (d *Engine) writeArchive(out io.Writer, name string, m oci.Manifest) error {
	w := tar.NewWriter(out)
	entry := struct {
		Config           string
		RepoTags, Layers []string
	}{Config: strings.TrimPrefix(m.Config.Digest, "sha256:") + ".json", RepoTags: []string{name}}
	if err := d.writeBlob(w, entry.Config, m.Config.Digest); err != nil {
		return err
	}
	for _, l := range m.Layers {
		file := strings.TrimPrefix(l.Digest, "sha256:") + "/layer.tar"
		if err := d.writeBlob(w, file, l.Digest); err != nil {
			return err
		}
		entry.Layers = append(entry.Layers, file)
	}
	index, err := json.Marshal([]any{entry})
	if err != nil {
		return err
	}
	err = w.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o644, Size: int64(len(index))})
	if err == nil {
		_, err = w.Write(index)
	}
	return errors.Join(err, w.Close())
}

func (d *Engine) writeBlob(w *tar.Writer, name, digest string) error {
	f, err := os.Open(oci.Blob(d.Dir, digest))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
