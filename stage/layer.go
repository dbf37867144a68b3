package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
)

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
	// Largest is how much the layer may hold, in bytes; 0 means tarfs's default.
	Largest int64
	// Open gives the uncompressed tar. It may be called twice. Reading
	// must end with an error when ctx ends, and never with io.EOF before
	// all that is to be verified has been.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Readable, if it is set, is called once when the squashfs is complete at
	// path: of a new layer before it is hashed, synced and named. Whoever
	// wants to read it opens it before returning: the path may not last.
	Readable func(path string)
	Progress progress.Sink
}

// AddLayer makes a layer that lies upon no other an object of the stage.
func (s *Stage) AddLayer(ctx context.Context, src Source) (deployment.Object, error) {
	objects, err := s.AddLayers(ctx, []Source{src}, 1)
	return objects[0], err
}

// An adding is one layer on its way to the stage.
type adding struct {
	Source
	stage  *Stage
	record string // its path
	// below waits for the layers below and returns them, lowest first.
	below func(context.Context) ([]deployment.Object, error)
	// leave lets others add the same layer: nothing may be waited for before.
	leave func()
}

func (a *adding) run(ctx context.Context) (deployment.Object, error) {
	r, err := a.stage.readLayer(a.DiffID)
	if err != nil {
		return deployment.Object{}, err
	}
	if o, err := a.find(ctx, r); err != nil || o != (deployment.Object{}) {
		if err == nil && a.Readable != nil {
			a.Readable(a.stage.ObjectPath(o))
		}
		return o, err
	}
	if r != nil && r.Blob != a.Blob {
		a.Blob = "" // two blobs claim the diff id: hash the tar, to know
	}
	o, err := a.add(ctx)
	if err != nil {
		return deployment.Object{}, fmt.Errorf("stage layer %s: %w", a.Source, err)
	}
	return o, nil
}

// find returns what a record has of the layer, as it lies here.
func (a *adding) find(ctx context.Context, r *layerRecord) (deployment.Object, error) {
	if !r.serves(a.Blob) {
		return deployment.Object{}, nil
	}
	if r.depends() {
		a.leave()
	}
	return a.stage.lookUp(r, func() ([]deployment.Object, error) { return a.below(ctx) })
}

func (a *adding) add(ctx context.Context) (deployment.Object, error) {
	s := a.stage
	f, err := durable.Create(s.Temp(), 0o600)
	if err != nil {
		return deployment.Object{}, s.full(err, max(a.Size/2, 1))
	}
	defer f.Discard()
	l := &layering{adding: a, log: s.log(), temp: f.File}
	defer l.close()
	if err := l.run(ctx); err != nil {
		need := l.estimate()
		err = l.whyFailed(err)
		f.Discard()
		return deployment.Object{}, s.full(err, need)
	}
	if err := fault.Point("stage.layer.squashed"); err != nil {
		return deployment.Object{}, err
	}
	if a.Readable != nil {
		a.Readable(f.Name())
	}
	o, err := syncHashed(ctx, f.File)
	if err != nil {
		return deployment.Object{}, s.full(err, l.estimate())
	}
	if err := s.publish(f, o); err != nil {
		return deployment.Object{}, s.full(err, o.Size)
	}
	if err := s.recordLayer(l.taking, a, o); err != nil {
		return deployment.Object{}, s.full(err, 1)
	}
	return o, fault.Point("stage.layer.recorded")
}

// String names the layer in messages.
func (src Source) String() string {
	short := src.DiffID
	if len(short) > 19 {
		short = short[:19]
	}
	return strings.TrimSpace(src.Name + " " + short)
}

// enter makes sure that each layer is added by one at a time, until it leaves.
func (s *Stage) enter(ctx context.Context, diffID string) (leave func(), err error) {
	for {
		s.mu.Lock()
		flight, busy := s.flights[diffID]
		if !busy {
			flight = make(chan struct{})
			s.flights[diffID] = flight
			s.mu.Unlock()
			return sync.OnceFunc(func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				delete(s.flights, diffID)
				close(flight)
			}), nil
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
