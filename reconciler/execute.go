package reconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
)

func (x *builder) build(ctx context.Context, b *observedBuild, task *progress.BuildTask) (err error) {
	e, err := x.engine(b)
	if err != nil {
		return err
	}
	if err := e.Check(ctx); err != nil {
		return err
	}
	log, err := x.openLog(b.want.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	key := b.key()
	opts := engine.Options{
		NoCache: b.fresh, Timeout: b.want.Build.Timeout, TempDir: x.stage.Temp(), Log: log,
		Epoch: b.state.Epoch, Progress: task,
		Insecure: b.want.Build.Pulled.Insecure,
	}
	credentials, remove, err := x.engineCredentials(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	opts.CredentialsFile = credentials
	if opts.Epoch.IsZero() || !key.Equal(b.state.Key) {
		opts.Epoch = x.o.revision.Time.UTC().Truncate(time.Second)
	}
	if err := x.execute(ctx, e, b, key, opts); err != nil {
		return fmt.Errorf("%w\nthe whole log: gitboot image log %s", err, b.want.Name)
	}
	return nil
}

func (x *builder) execute(ctx context.Context, e engine.Engine, b *observedBuild, key recipe.Key, opts engine.Options) error {
	base, err := x.base(ctx, e, b, opts)
	if err := errors.Join(err, fault.Point("build.imported")); err != nil {
		return err
	}
	opts.Base = base.ID
	img, err := engine.Run(ctx, e, b.prepared, opts)
	if err := errors.Join(err, fault.Point("build.executed")); err != nil {
		return err
	}
	if img, err = x.unlessSame(ctx, e, b, key, img); err != nil {
		return err
	}
	return errors.Join(x.record(b, key, img, opts.Epoch), fault.Point("build.recorded"))
}

// unlessSame returns what a rebuild gave, or the image from before if only logs
// and caches differ: nobody wants a new deployment for these.
func (x *builder) unlessSame(ctx context.Context, e engine.Engine, b *observedBuild, key recipe.Key, img engine.Image) (engine.Image, error) {
	if b.state.ID == "" || b.state.Digest == img.Digest || !key.Equal(b.state.Key) {
		return img, nil
	}
	before, err := e.Image(ctx, b.state.ID)
	if errors.Is(err, engine.ErrGone) {
		return img, nil
	}
	if err != nil {
		return img, err
	}
	same, err := engine.Same(ctx, before, img)
	if err != nil || !same {
		return img, err
	}
	x.Log.Info("rebuilt: only logs and caches differ; the image stays as it is", "image", b.want.Name)
	return before, nil
}

// base makes sure that the engine holds the base.
func (x *builder) base(ctx context.Context, e engine.Engine, b *observedBuild, opts engine.Options) (engine.Image, error) {
	switch {
	case b.parent != nil && b.parent.engineName(x.Engine) == e.Name():
		return e.Image(ctx, b.parent.state.ID)
	case b.prepared.Scratch:
		return engine.Image{}, nil
	}
	bootstrapped := b.base == nil && b.parent == nil
	if b.state.BaseID != "" && b.state.BaseDigest == b.baseDigest() && !(bootstrapped && b.fresh) {
		if img, err := e.Image(ctx, b.state.BaseID); !errors.Is(err, engine.ErrGone) {
			return img, err
		}
	}
	img, err := x.importBase(ctx, e, b, opts)
	if err != nil {
		return img, err
	}
	b.state.BaseID, b.state.BaseDigest, b.state.BaseBlobs = img.ID, b.baseDigest(), b.blobs
	return img, x.save(b) // a build that fails need not import it again
}

func (x *builder) importBase(ctx context.Context, e engine.Engine, b *observedBuild, opts engine.Options) (engine.Image, error) {
	if b.parent != nil {
		return x.importParent(ctx, e, b, opts)
	}
	if b.base == nil {
		opts.Progress.Step(0, 0, strings.Join(b.want.Build.Bootstrap, " "))
		return engine.ImportBootstrap(ctx, e, b.prepared, opts)
	}
	opts.Progress.Step(0, 0, "fetch the base")
	opened, err := x.openBase(ctx, x.o, b)
	if err != nil {
		return engine.Image{}, fmt.Errorf("open the base: %w", err)
	}
	var img engine.Image
	err = inTime(ctx, x.ImageTime, func(ctx context.Context) (err error) {
		img, err = engine.ImportImage(ctx, e, opened, b.want.Build.Platform, opts.TempDir, x.Reserve)
		return err
	})
	return img, err
}

// importParent takes a base over from the engine that built it.
func (x *builder) importParent(ctx context.Context, e engine.Engine, b *observedBuild, opts engine.Options) (engine.Image, error) {
	opts.Progress.Step(0, 0, "take the base over from "+b.parent.engineName(x.Engine))
	from, err := x.engine(b.parent)
	if err != nil {
		return engine.Image{}, err
	}
	img, err := from.Image(ctx, b.parent.state.ID)
	if err != nil {
		return engine.Image{}, err
	}
	return engine.ImportBuilt(ctx, e, img, b.want.Build.Platform, opts.TempDir)
}

// record notes a built image at once: whatever becomes of the run, it need not
// be built again.
func (x *builder) record(b *observedBuild, key recipe.Key, img engine.Image, epoch time.Time) error {
	s := b.state
	now := x.Now().UTC().Truncate(time.Second)
	if err := s.made(img, Made{now, x.o.revision.Hash}); err != nil {
		return err
	}
	s.Key, s.ID, s.Content, s.Digest, s.Epoch = key, img.ID, img.Content, img.Digest, epoch
	s.Built, s.Revision, s.Failure = now, x.o.revision.Hash, nil
	if b.parent != nil && s.BaseDigest != b.baseDigest() {
		s.BaseID, s.BaseDigest = "", ""
	}
	s.Layers = nil
	for _, l := range img.Layers {
		s.Layers = append(s.Layers, l.DiffID)
	}
	return x.save(b)
}

func (x *builder) save(b *observedBuild) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	saved := *b.state
	x.o.state.setBuild(b.want.Name, &saved)
	return x.o.state.Save(x.Stage)
}
