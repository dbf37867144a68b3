package stage

import (
	"context"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/stage/internal/record"
	"github.com/gitboot/gitboot/stage/squash"
)

// A LayerID is how a layer is known: by its diff id, and by the digest of the
// blob that holds it if there is one (Tar.Blob).
type LayerID struct{ DiffID, Blob string }

// Layers returns the objects that an image's layers became, lowest first. One
// that is not there, as it lies here, is the zero Object.
func (s *Stage) Layers(ids []LayerID) ([]deployment.Object, error) {
	objects, records := make([]deployment.Object, len(ids)), s.records()
	for i, id := range ids {
		r, err := records.Read(id.DiffID)
		if err != nil {
			return nil, err
		}
		if !r.Serves(id.Blob) {
			continue
		}
		objects[i], err = records.LookUp(r, func() ([]deployment.Object, error) { return objects[:i], nil })
		if err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// AddLayers makes an image's layers, lowest first, objects of the stage, some
// side by side. A layer that is there is not opened; of the same layer, the
// second waits for the first. One that needs something of those below it (see
// tarfs.Lack) waits for them when it has been read.
func (s *Stage) AddLayers(ctx context.Context, list []Tar, atOnce int) ([]deployment.Object, error) {
	p := &pile{stage: s, objects: make([]deployment.Object, len(list)), done: make([]chan struct{}, len(list))}
	for i := range p.done {
		p.done[i] = make(chan struct{})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, src := range list {
		// They begin in order: the lowest that is not done waits for none.
		group.Go(func() (err error) {
			p.objects[i], err = p.add(ctx, i, src)
			if err == nil {
				close(p.done[i])
			}
			return err
		})
	}
	return p.objects, group.Wait()
}

// A pile is an image's layers while they are added.
type pile struct {
	stage   *Stage
	objects []deployment.Object
	done    []chan struct{}
}

// below waits for the layers below the i-th.
func (p *pile) below(ctx context.Context, i int) ([]deployment.Object, error) {
	for _, done := range p.done[:i] {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return p.objects[:i], nil
}

// add adds the i-th layer.
func (p *pile) add(ctx context.Context, i int, src Tar) (deployment.Object, error) {
	leave, err := p.stage.flights.enter(ctx, src.DiffID)
	if err != nil {
		return deployment.Object{}, err
	}
	defer leave()
	a := &adding{Tar: src, stage: p.stage, leave: leave,
		below: func(ctx context.Context) ([]deployment.Object, error) { return p.below(ctx, i) }}
	return a.run(ctx)
}

// Made tells of layers, by their ids and lowest first, what they became here, for
// somebody who need not make it again. One that is not there, or of which that is not
// known, is nil.
func Made(s *Stage, ids []LayerID) ([]*squash.Made, error) {
	objects, err := s.Layers(ids)
	if err != nil {
		return nil, err
	}
	made := make([]*squash.Made, len(ids))
	for i, id := range ids {
		if objects[i] == (deployment.Object{}) {
			continue
		}
		r, err := s.records().Read(id.DiffID)
		if err != nil {
			return nil, err
		}
		m, ok := r.Made(objects[i])
		if !ok {
			continue
		}
		m.Open = func(context.Context) (io.ReadCloser, error) { return OpenIntact(s, m.Object) }
		made[i] = &m
	}
	return made, nil
}

// Rewriter is the version of how layers are rewritten before they are packed: another
// one makes other objects of some.
const Rewriter = record.RewriterVersion

// flights are the layers that are being added, by diff id.
type flights struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// enter makes sure that each layer is added by one at a time, until it leaves.
func (f *flights) enter(ctx context.Context, diffID string) (leave func(), err error) {
	for {
		f.mu.Lock()
		flight, busy := f.busy[diffID]
		if !busy {
			flight = make(chan struct{})
			if f.busy == nil {
				f.busy = make(map[string]chan struct{})
			}
			f.busy[diffID] = flight
			f.mu.Unlock()
			return sync.OnceFunc(func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				delete(f.busy, diffID)
				close(flight)
			}), nil
		}
		f.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
