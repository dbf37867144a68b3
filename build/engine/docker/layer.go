package docker

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/durable"
)

// Docker's builder leaves in layers when each file was made, so that no two
// builds would be the same. Our layers have no time after the epoch. Which of
// ours one of docker's became is remembered, in the folder known: whatever
// image has it, and whatever that one's epoch is, it stays the same layer.

func (d *Engine) known(diffID string) string {
	return filepath.Join(d.Dir, "known", strings.TrimPrefix(diffID, "sha256:"))
}

// takeLayer stores one of docker's layers, unless it is here.
func (d *Engine) takeLayer(in io.Reader, epoch time.Time) (l oci.Descriptor, err error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		if in, err = gzip.NewReader(buffered); err != nil {
			return l, err
		}
	} else {
		in = buffered
	}
	out, err := durable.Create(d.Dir, 0o600)
	if err != nil {
		return l, err
	}
	defer out.Discard()
	theirs, ours, size := sha256.New(), sha256.New(), new(counter)
	tee := io.TeeReader(in, theirs)
	if err := clampTimes(io.MultiWriter(out, ours, size), tee, epoch); err != nil {
		return l, err
	}
	if _, err := io.Copy(io.Discard, tee); err != nil { // what pads a tar
		return l, err
	}
	diffID := "sha256:" + hex.EncodeToString(theirs.Sum(nil))
	if known, err := d.here(diffID); err != nil || known.Digest != "" {
		return known, err
	}
	l = oci.Descriptor{MediaType: oci.MediaLayer, Digest: "sha256:" + hex.EncodeToString(ours.Sum(nil)), Size: int64(*size)}
	if err := out.Publish(oci.Blob(d.Dir, l.Digest)); err != nil {
		return l, err
	}
	if err := durable.MkdirAll(filepath.Dir(d.known(diffID)), 0o700); err != nil {
		return l, err
	}
	return l, durable.WriteFile(d.known(diffID), []byte(l.Digest), 0o600)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// here finds what one of docker's layers became. What was loaded into docker is
// itself.
func (d *Engine) here(diffID string) (oci.Descriptor, error) {
	digest := diffID
	text, err := os.ReadFile(d.known(diffID))
	if err == nil && oci.IsDigest(string(text)) {
		digest = string(text)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return oci.Descriptor{}, err
	}
	info, err := os.Stat(oci.Blob(d.Dir, digest))
	if errors.Is(err, fs.ErrNotExist) {
		return oci.Descriptor{}, nil
	}
	if err != nil {
		return oci.Descriptor{}, err
	}
	return oci.Descriptor{MediaType: oci.MediaLayer, Digest: digest, Size: info.Size()}, nil
}

// clampTimes copies a layer's tar, with no time after the epoch, and without the
// folder that is made to mount a recipe on: docker does not take it away.
func clampTimes(out io.Writer, in io.Reader, epoch time.Time) error {
	w := tar.NewWriter(out)
	for r := tar.NewReader(in); ; {
		h, err := r.Next()
		if err == io.EOF {
			return w.Close()
		}
		if err != nil {
			return err
		}
		if path.Clean("/"+h.Name) == recipe.ScriptMount {
			continue
		}
		if h.ModTime.After(epoch) {
			h.ModTime = epoch
		}
		h.AccessTime, h.ChangeTime, h.Format = time.Time{}, time.Time{}, tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
}

// putDocument stores a document.
func (d *Engine) putDocument(media string, v any) (oci.Descriptor, error) {
	data, blob, err := oci.Marshal(media, v)
	if err != nil {
		return blob, err
	}
	return blob, durable.WriteFile(oci.Blob(d.Dir, blob.Digest), data, 0o600)
}

// forget removes what is known of layers that are gone.
func (d *Engine) forget() error {
	all, err := os.ReadDir(filepath.Join(d.Dir, "known"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		if l, gone := d.here("sha256:" + e.Name()); gone == nil && l.Digest == "" {
			err = errors.Join(err, durable.Remove(filepath.Join(d.Dir, "known", e.Name())))
		}
	}
	return err
}
