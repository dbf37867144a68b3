package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
)

// rewriterVersion changes when a layer becomes another object than before, so
// that layers on the stage are made again.
const rewriterVersion = 1

// A Source is a layer to be added.
type Source struct {
	// DiffID is the digest of the uncompressed tar, "sha256:<hex>".
	DiffID string
	// Name says in progress and errors what the layer belongs to.
	Name string
	// Blob is the digest that Open's reader verifies the layer's stored form
	// against before its io.EOF. Empty if it verifies nothing: then the tar
	// is hashed here and must be DiffID.
	Blob string
	// Size is the length of the uncompressed tar in bytes, 0 if unknown.
	Size int64
	// Open gives the uncompressed tar. It may be called twice. Reading
	// must end with an error when ctx ends, and never with io.EOF before
	// all that is to be verified has been.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Squashed, if it is set, is called when the squashfs is complete at path,
	// before it is hashed, synced and named. Whoever wants to read it opens
	// it before returning: the path does not last. It is not called for a
	// layer that is there already.
	Squashed func(path string)
	Progress progress.Sink
}

// A layerRecord is the form of layers/<hex>.json.
type layerRecord struct {
	DiffID string `json:"diffID"`
	// Blob is the digest of the stored layer that was read, if the tar in it
	// was not hashed itself. Another blob that claims the same diff id is
	// then not taken for this one: an image may claim what it likes.
	Blob     string            `json:"blob,omitempty"`
	Object   deployment.Object `json:"object"`
	Rewriter int               `json:"rewriter"`
	Squasher string            `json:"squasher"`
}

func (s *Stage) layerPath(diffID string) (string, error) {
	hex, ok := strings.CutPrefix(diffID, "sha256:")
	if !ok || !deployment.IsHash(hex) {
		return "", fmt.Errorf("layer %q: a diff id is sha256: and 64 hex digits", diffID)
	}
	return s.path("layers", hex+".json"), nil
}

// Layer returns the object that a layer became, and whether it is there. The
// layer is known by its diff id, and by the digest of the blob that holds it
// if there is one (Source.Blob).
func (s *Stage) Layer(diffID, blob string) (deployment.Object, bool, error) {
	path, err := s.layerPath(diffID)
	if err != nil {
		return deployment.Object{}, false, err
	}
	r, err := readRecord[layerRecord](path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return deployment.Object{}, false, nil
	case err != nil:
		// Records are a memory of what was done: it can be done again.
		s.log().Warn("ignoring an unreadable layer record", "path", path, "error", err)
		return deployment.Object{}, false, nil
	case r.DiffID != diffID || r.Rewriter != rewriterVersion || r.Blob != "" && r.Blob != blob:
		return deployment.Object{}, false, nil
	}
	ok, err := s.has(r.Object)
	if err != nil || !ok {
		return deployment.Object{}, false, err
	}
	return r.Object, true, nil
}

// AddLayer makes a layer an object of the stage. A layer that is there is not
// opened. Layers may be added side by side; of the same layer, the second
// waits for the first.
func (s *Stage) AddLayer(ctx context.Context, src Source) (deployment.Object, error) {
	path, err := s.layerPath(src.DiffID)
	if err != nil {
		return deployment.Object{}, err
	}
	done, err := s.enter(ctx, src.DiffID)
	if err != nil {
		return deployment.Object{}, err
	}
	defer done()
	if o, ok, err := s.Layer(src.DiffID, src.Blob); ok || err != nil {
		return o, err
	}
	if s.claimed(path) {
		src.Blob = "" // two blobs claim the diff id: hash the tar, to know
	}
	o, err := s.addLayer(ctx, src, path)
	if err != nil {
		return deployment.Object{}, fmt.Errorf("stage layer %s: %w", src, err)
	}
	return o, nil
}

func (s *Stage) addLayer(ctx context.Context, src Source, record string) (deployment.Object, error) {
	f, err := durable.Create(s.path("tmp"), 0o600)
	if err != nil {
		return deployment.Object{}, s.full(err, max(src.Size/2, 1))
	}
	defer f.Discard()
	l := &layering{Source: src, log: s.log(), temp: f.File}
	if err := l.run(ctx); err != nil {
		need := l.estimate()
		err = l.whyFailed(err)
		f.Discard()
		return deployment.Object{}, s.full(err, need)
	}
	if err := fault.Point("stage.layer.squashed"); err != nil {
		return deployment.Object{}, err
	}
	if src.Squashed != nil {
		src.Squashed(f.Name())
	}
	o, err := syncHashed(ctx, f.File)
	if err != nil {
		return deployment.Object{}, s.full(err, l.estimate())
	}
	if err := s.publish(f, o); err != nil {
		return deployment.Object{}, s.full(err, o.Size)
	}
	r := layerRecord{DiffID: src.DiffID, Blob: src.Blob, Object: o, Rewriter: rewriterVersion, Squasher: squasher}
	if err := writeRecord(record, r); err != nil {
		return deployment.Object{}, s.full(err, 1)
	}
	return o, fault.Point("stage.layer.recorded")
}

// claimed reports whether there is a record of another blob for the layer.
func (s *Stage) claimed(record string) bool {
	r, err := readRecord[layerRecord](record)
	return err == nil && r.Blob != ""
}

// String names the layer in messages.
func (src Source) String() string {
	short := src.DiffID
	if len(short) > 19 {
		short = short[:19]
	}
	return strings.TrimSpace(src.Name + " " + short)
}

// enter makes sure that each layer is added by one at a time.
func (s *Stage) enter(ctx context.Context, diffID string) (done func(), err error) {
	for {
		s.mu.Lock()
		flight, busy := s.flights[diffID]
		if !busy {
			flight = make(chan struct{})
			s.flights[diffID] = flight
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.flights, diffID)
				close(flight)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// syncHashed hashes a written file while the disk takes it.
func syncHashed(ctx context.Context, f *os.File) (deployment.Object, error) {
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	info, err := f.Stat()
	if err != nil {
		return deployment.Object{}, errors.Join(err, <-synced)
	}
	o, err := hashFile(ctx, io.NewSectionReader(f, 0, info.Size()))
	return o, errors.Join(err, <-synced)
}

func readRecord[T any](path string) (T, error) {
	var v T
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	return v, err
}

func writeRecord(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(path, append(data, '\n'), 0o600)
}
