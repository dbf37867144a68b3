package engine

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/durable"
)

// Docker's builder leaves in layers when each file was made, so that no two
// builds would be the same. Our layers have no time after the epoch. Which of
// ours one of docker's became is remembered, in the folder known: whatever
// image has it, and whatever that one's epoch is, it stays the same layer.

func (d *Docker) known(diffID string) string {
	return filepath.Join(d.dir, "known", strings.TrimPrefix(diffID, "sha256:"))
}

// takeLayer stores one of docker's layers, unless it is here.
func (d *Docker) takeLayer(in io.Reader, epoch time.Time) (l descriptor, err error) {
	buffered := bufio.NewReaderSize(in, 1<<16)
	if head, _ := buffered.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		if in, err = gzip.NewReader(buffered); err != nil {
			return l, err
		}
	} else {
		in = buffered
	}
	out, err := durable.Create(d.dir, 0o600)
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
	l = descriptor{mediaLayer, "sha256:" + hex.EncodeToString(ours.Sum(nil)), int64(*size)}
	if err := out.Publish(blobFile(d.dir, l.Digest)); err != nil {
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
func (d *Docker) here(diffID string) (descriptor, error) {
	digest := diffID
	text, err := os.ReadFile(d.known(diffID))
	if err == nil && sha256Digest.Match(text) {
		digest = string(text)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return descriptor{}, err
	}
	info, err := os.Stat(blobFile(d.dir, digest))
	if errors.Is(err, fs.ErrNotExist) {
		return descriptor{}, nil
	}
	if err != nil {
		return descriptor{}, err
	}
	return descriptor{mediaLayer, digest, info.Size()}, nil
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
func (d *Docker) putDocument(media string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	digest := sha256Text(data)
	return descriptor{media, digest, int64(len(data))}, durable.WriteFile(blobFile(d.dir, digest), data, 0o600)
}

// forget removes what is known of layers that are gone.
func (d *Docker) forget() error {
	all, err := os.ReadDir(filepath.Join(d.dir, "known"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range all {
		if l, gone := d.here("sha256:" + e.Name()); gone == nil && l.Digest == "" {
			err = errors.Join(err, durable.Remove(filepath.Join(d.dir, "known", e.Name())))
		}
	}
	return err
}
