package workshop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/recipe"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/state"
)

// execute has an engine build an image.
func (j maker) execute(ctx context.Context, b *build, task *progress.BuildTask) (err error) {
	e, err := j.engine(b)
	if err != nil {
		return err
	}
	if err := e.Check(ctx); err != nil {
		return err
	}
	log, err := j.openLog(b.want.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	key := b.key()
	opts := engine.Options{
		NoCache: b.verdict.Fresh, Timeout: b.want.Build.Timeout, TempDir: j.Stage.Workshop().Temp(), Log: log,
		Epoch: b.state.Epoch, Progress: task,
		Insecure: b.want.Build.Pulled.Insecure,
	}
	credentials, remove, err := j.engineCredentials(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	opts.CredentialsFile = credentials
	// Where layers are by packages, files that did not change keep their times, too.
	if opts.Epoch.IsZero() || !key.Equal(b.state.Key) && b.want.Build.Relayer == "" {
		opts.Epoch = j.Revision.Time.UTC().Truncate(time.Second)
	}
	if err := j.run(ctx, e, b, key, opts); err != nil {
		return fmt.Errorf("%w\nthe whole log: gitboot image log %s", err, b.want.Name)
	}
	return nil
}

func (j maker) run(ctx context.Context, e engine.Engine, b *build, key recipe.Key, opts engine.Options) error {
	base, err := j.base(ctx, e, b, opts)
	if err := errors.Join(err, fault.Point("build.imported")); err != nil {
		return err
	}
	opts.Base = base.ID
	img, err := engine.Run(ctx, e, b.prepared, opts)
	if err := errors.Join(err, fault.Point("build.executed")); err != nil {
		return err
	}
	if img, err = j.unlessSame(ctx, e, b, key, img); err != nil {
		return err
	}
	out, relayered, err := storing(j).relayer(ctx, b, img, opts)
	if err != nil {
		return err
	}
	if err := j.rehearse(ctx, b, out, opts); err != nil {
		return err
	}
	b.state.Engine, b.state.Relayered = e.Name(), relayered
	return errors.Join(j.recordBuild(b, key, img, out, opts.Epoch), fault.Point("build.recorded"))
}

// unlessSame returns what a rebuild gave, or the image from before if only logs
// and caches differ: nobody wants a new deployment for these.
func (j maker) unlessSame(ctx context.Context, e engine.Engine, b *build, key recipe.Key, img engine.Image) (engine.Image, error) {
	if b.state.ID == "" || builtDigest(b.state) == img.Digest || !key.Equal(b.state.Key) {
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
	j.Log.Info("rebuilt: only logs and caches differ; the image stays as it is", "image", b.want.Name)
	return before, nil
}

// base makes sure that the engine holds the base.
func (j maker) base(ctx context.Context, e engine.Engine, b *build, opts engine.Options) (engine.Image, error) {
	switch {
	case b.parent != nil && j.sameEngine(b.parent, e):
		return e.Image(ctx, b.parent.state.ID)
	case b.prepared.Scratch:
		return engine.Image{}, nil
	}
	bootstrapped := b.base == nil && b.parent == nil
	if b.state.BaseID != "" && b.state.BaseDigest == b.baseDigest() && !(bootstrapped && b.verdict.Fresh) {
		if img, err := e.Image(ctx, b.state.BaseID); !errors.Is(err, engine.ErrGone) {
			return img, err
		}
	}
	img, err := j.importBase(ctx, e, b, opts)
	if err != nil {
		return img, err
	}
	b.state.BaseID, b.state.BaseDigest, b.state.BaseBlobs = img.ID, b.baseDigest(), b.blobs
	return img, j.keep(b) // a build that fails need not import it again
}

func (j maker) importBase(ctx context.Context, e engine.Engine, b *build, opts engine.Options) (engine.Image, error) {
	if b.parent != nil {
		return j.importParent(ctx, e, b, opts)
	}
	if b.base == nil {
		opts.Progress.Step(0, 0, strings.Join(b.want.Build.Bootstrap, " "))
		return engine.ImportBootstrap(ctx, e, b.prepared, opts)
	}
	opts.Progress.Step(0, 0, "fetch the base")
	opened, err := j.openBase(ctx, b)
	if err != nil {
		return engine.Image{}, fmt.Errorf("open the base: %w", err)
	}
	var img engine.Image
	err = origin.InTime(ctx, j.Find.ImageTime, func(ctx context.Context) (err error) {
		img, err = engine.ImportImage(ctx, e, opened, b.want.Build.Platform, opts.TempDir, j.Reserve)
		return err
	})
	return img, err
}

// importParent takes a base over from the engine that built it.
func (j maker) importParent(ctx context.Context, e engine.Engine, b *build, opts engine.Options) (engine.Image, error) {
	from, err := j.engine(b.parent)
	if err != nil {
		return engine.Image{}, err
	}
	opts.Progress.Step(0, 0, "take the base over from "+from.Name())
	img, err := from.Image(ctx, b.parent.state.ID)
	if err != nil {
		return engine.Image{}, err
	}
	return engine.ImportBuilt(ctx, e, img, b.want.Build.Platform, opts.TempDir)
}

// recordBuild notes a built image at once: whatever becomes of the run, it need not
// be built again. What is staged of it is the same image, or one that was made of it.
func (j maker) recordBuild(b *build, key recipe.Key, built, img engine.Image, epoch time.Time) error {
	s := b.state
	now := j.now()
	if err := made(s, img, state.Made{Time: now, Revision: j.Revision.Hash}); err != nil {
		return err
	}
	s.Key, s.ID, s.Content, s.Digest, s.Epoch = key, built.ID, built.Content, img.Digest, epoch
	s.Built, s.Revision, s.Failure = now, j.Revision.Hash, nil
	if b.parent != nil && s.BaseDigest != b.baseDigest() {
		s.BaseID, s.BaseDigest = "", ""
	}
	s.Layers, s.Sizes = nil, nil
	for _, l := range img.Layers {
		s.Layers, s.Sizes = append(s.Layers, l.DiffID), append(s.Sizes, l.Size)
	}
	return j.keep(b)
}

// keep notes what an engine has stored, when that is on the disk: no engine sees to it,
// and what is noted is taken for good from then on.
func (j maker) keep(b *build) error {
	if err := storing(j).sync(); err != nil {
		return err
	}
	return j.save(b)
}

func (j maker) save(b *build) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	saved := *b.state
	j.doc.SetBuild(b.want.Name, &saved)
	return j.doc.Save(j.Stage.Dir())
}

func (j maker) sameEngine(b *build, e engine.Engine) bool {
	other, err := j.engine(b)
	return err == nil && other.Name() == e.Name()
}

// made notes what a build gave, and whether that is anything new.
func made(s *state.Build, img engine.Image, at state.Made) error {
	config, err := image.PublicConfig(img.Config, time.Time{}, nil, relayer.Made)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	hash := hex.EncodeToString(sum[:])
	if s.Config != hash || s.Digest != img.Digest {
		s.Config, s.Made = hash, at
	}
	return nil
}
