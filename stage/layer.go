package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage/internal/record"
	"github.com/gitboot/gitboot/stage/squash"
)

// A Tar is a layer to be added.
type Tar = squash.Tar

// AddLayer makes a layer that lies upon no other an object of the stage.
func (s *Stage) AddLayer(ctx context.Context, src Tar) (deployment.Object, error) {
	objects, err := s.AddLayers(ctx, []Tar{src}, 1)
	return objects[0], err
}

// An adding is one layer on its way to the stage.
type adding struct {
	Tar
	stage *Stage
	// below waits for the layers below and returns them, lowest first.
	below func(context.Context) ([]deployment.Object, error)
	// leave lets others add the same layer: nothing may be waited for before.
	leave func()
}

func (a *adding) run(ctx context.Context) (deployment.Object, error) {
	r, err := a.stage.records().Read(a.DiffID)
	if err != nil {
		return deployment.Object{}, err
	}
	if o, err := a.find(ctx, r); err != nil || o != (deployment.Object{}) {
		if err == nil && a.Readable != nil {
			a.Readable(a.stage.ObjectPath(o))
		}
		return o, err
	}
	o, err := a.take(ctx)
	if err != nil || o != (deployment.Object{}) {
		return o, err
	}
	if o, err = a.join(ctx); err != nil || o != (deployment.Object{}) {
		return o, err
	}
	if r != nil && r.Blob != a.Blob {
		a.Blob = "" // two blobs claim the diff id: hash the tar, to know
	}
	err = pastLiars(ctx, a.Again, func() (err error) {
		o, err = a.add(ctx)
		return err
	}, func(err error) {
		a.stage.log().Warn("a layer is pulled once more, of another: it came with other bytes", "layer", a.Tar.String(), "error", err)
	})
	if err != nil {
		return deployment.Object{}, fmt.Errorf("stage layer %s: %w", a.Tar, err)
	}
	return o, nil
}

// find returns what a record has of the layer, as it lies here.
func (a *adding) find(ctx context.Context, r *record.Layer) (deployment.Object, error) {
	if !r.Serves(a.Blob) {
		return deployment.Object{}, nil
	}
	if r.Depends() {
		a.leave()
	}
	return a.stage.records().LookUp(r, func() ([]deployment.Object, error) { return a.below(ctx) })
}

// take fetches what somebody else has made of the layer. Where that cannot be had, or
// is another thing here, it returns the zero Object; an error is one of the stage.
func (a *adding) take(ctx context.Context) (deployment.Object, error) {
	if a.Made == nil {
		return deployment.Object{}, nil
	}
	taken, err := a.Made.Fits(ctx, a.files)
	if err != nil || taken == nil {
		return deployment.Object{}, err
	}
	defer taken.Close()
	o := a.Made.Object
	if there, err := a.stage.has(o); err != nil {
		return deployment.Object{}, err
	} else if !there {
		if err := a.fetchMade(ctx); err != nil {
			a.stage.log().Warn("a layer is squashed here: what others have made of it cannot be had", "layer", a.Tar.String(), "object", o.Path(), "error", err)
			return deployment.Object{}, ctx.Err()
		}
	}
	if a.Readable != nil {
		a.Readable(a.stage.ObjectPath(o))
	}
	if err := a.remember(taken, o); err != nil {
		return deployment.Object{}, a.stage.full(fmt.Errorf("stage layer %s: %w", a.Tar, err), 0)
	}
	return o, fault.Point("stage.layer.taken")
}

// fetchMade makes what was made elsewhere an object of the stage, if it is what it
// should be: by blocks if there is such a way, and whole if that fails.
func (a *adding) fetchMade(ctx context.Context) error {
	what := Fetched{Object: a.Made.Object, Open: a.Made.Open, Soon: a.Made.Soon, Blocks: a.Made.Blocks, Again: a.Again, Check: squash.CheckForm}
	if what.Blocks != nil {
		err := a.fetch(ctx, what, what.Blocks.Fetch)
		if err == nil || ctx.Err() != nil || errors.Is(err, syscall.ENOSPC) {
			return err
		}
		a.stage.log().Warn("an object is fetched whole: it could not be put together of blocks", "layer", a.Tar.String(), "object", what.Object.Path(), "error", err)
		what.Blocks = nil
	}
	return a.fetch(ctx, what, what.Object.Size)
}

func (a *adding) fetch(ctx context.Context, what Fetched, bytes int64) (err error) {
	task := progress.StartLayer(a.Progress, "fetch "+a.Tar.String(), a.DiffID, bytes)
	defer func() { task.End(err) }()
	return Fetch(ctx, a.stage, what, task)
}

// join makes the layer of what is here of it and of what is fetched besides. Where that
// fails, or is not the layer, it returns the zero Object.
func (a *adding) join(ctx context.Context) (deployment.Object, error) {
	if a.Partial == nil {
		return deployment.Object{}, nil
	}
	joined := *a
	joined.Open, joined.Blob = a.Partial.Open, "" // the tar itself is hashed
	o, err := joined.add(ctx)
	if dearer := new(squash.DearerError); errors.As(err, &dearer) {
		a.stage.log().Info("a layer is pulled whole: that is sooner done than putting it together of its parts", "layer", a.Tar.String(), "fetched in vain", dearer.Spent)
		return deployment.Object{}, nil
	}
	if err != nil {
		a.stage.log().Warn("a layer is pulled whole: it could not be put together of its parts", "layer", a.Tar.String(), "error", err)
		return deployment.Object{}, ctx.Err()
	}
	return o, nil
}

func (a *adding) add(ctx context.Context) (deployment.Object, error) {
	s := a.stage
	f, err := durable.Create(s.Temp(), 0o600)
	if err != nil {
		return deployment.Object{}, s.full(err, max(a.Size/2, 0))
	}
	defer f.Discard()
	l := &squash.Job{Tar: a.Tar, Entries: s.Entries, Into: f.File, Reserve: s.Reserve, Below: a.files, Log: s.log()}
	defer l.Close()
	if err := l.Run(ctx); err != nil {
		need := l.Estimate()
		err = l.WhyFailed(err)
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
		return deployment.Object{}, s.full(err, l.Estimate())
	}
	if err := s.publish(f, o); err != nil {
		return deployment.Object{}, s.full(err, o.Size)
	}
	if err := a.remember(l.Taken(), o); err != nil {
		return deployment.Object{}, s.full(err, 0)
	}
	return o, fault.Point("stage.layer.recorded")
}

// files waits for the layers below, and lets others add this one meanwhile.
func (a *adding) files(ctx context.Context) ([]string, error) {
	a.leave()
	below, err := a.below(ctx)
	return a.stage.records().Paths(below), err
}

func (a *adding) remember(t *squash.Taking, o deployment.Object) error {
	a.stage.mu.Lock()
	defer a.stage.mu.Unlock()
	return a.stage.records().Put(t, a.DiffID, a.Blob, o)
}

// records are what is known of layers.
func (s *Stage) records() record.Layers {
	return record.Layers{Dir: s.layers(), Path: s.ObjectPath, Has: s.has, Log: s.log()}
}

// syncHashed hashes a written file while the disk takes it.
func syncHashed(ctx context.Context, f *os.File) (deployment.Object, error) {
	synced := make(chan error, 1)
	go func() { synced <- f.Sync() }()
	info, err := f.Stat()
	if err != nil {
		return deployment.Object{}, errors.Join(err, <-synced)
	}
	o, err := CopyHashed(ctx, io.Discard, io.NewSectionReader(f, 0, info.Size()))
	return o, errors.Join(err, <-synced)
}
