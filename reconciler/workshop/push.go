package workshop

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/build/relayer"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// pushReason says why an image is to be published, "" if it need not be.
func (j *Job) pushReason(b *build) string {
	if b.want.Build.Push == nil || b.err != nil {
		return ""
	}
	p := plan.Publishing{Ref: b.want.Build.Push.Ref, Builds: len(b.verdict.Reasons) > 0, Patient: b.patient, Lost: b.lost}
	if what := j.publication(b); what != nil {
		p.Ready, p.Key = true, what.key()
	}
	if known := b.state.Push; known != nil {
		p.Known, p.Done, p.KnownRef, p.KnownKey = true, known.Digest != "", known.Ref, known.Key
		if known.Failure != nil {
			p.Failed = &known.Failure.Tries
		}
	}
	return p.Reason(j.Now())
}

// observePushes asks registries whether they still have what was published,
// where this run was told to look anew.
func (j looker) observePushes(ctx context.Context) {
	for _, b := range j.builds {
		push := b.want.Build.Push
		if !j.req.Update || push == nil || j.pushReason(b) != "" || b.err != nil {
			continue
		}
		found, err := image.Resolve(ctx, push.Ref, j.Find.PushOptions(push))
		missing := (*image.NotFoundError)(nil)
		switch {
		case errors.As(err, &missing):
			b.lost = "the registry does not have it any more"
		case err != nil:
			j.Log.Debug("published image not looked up", "image", b.want.Name, "ref", push.Ref, "error", err)
			b.lost = "the registry did not say whether it still has it"
		case found.Digest != b.state.Push.Digest:
			b.lost = "the registry has another one, " + plan.Short(found.Digest)
		}
	}
}

// A publisher pushes what a job has made.
type publisher struct{ *Job }

// publish pushes images, after all that this machine needs itself: a registry
// that is slow or gone holds up no boot menu, and no revision that wants something
// else.
func (j publisher) publish(ctx context.Context) error {
	ctx, end := j.halt.pushing(ctx)
	defer end()
	err := j.pushAll(ctx)
	if err != nil && errors.Is(context.Cause(ctx), ErrSuperseded) {
		return ErrSuperseded
	}
	return err
}

// pushAll publishes what is to be, each image's failure its own, and notes it.
func (j publisher) pushAll(ctx context.Context) error {
	for _, b := range j.builds {
		if b.err != nil || j.publication(b) == nil || j.pushReason(b) == "" && !b.ran {
			continue
		}
		j.trace(plan.Action{Kind: plan.PushImage, Image: b.want.Name, Ref: b.want.Build.Push.Ref, Reason: j.pushReason(b)})
		b.pushErr = origin.InTime(ctx, j.Find.ImageTime, func(ctx context.Context) error { return j.push(ctx, b) })
		if ctx.Err() == nil {
			j.pushTried(b)
		}
		saved := j.doc.Build(b.want.Name)
		saved.Push = b.state.Push
		j.doc.SetBuild(b.want.Name, saved)
		if err := errors.Join(ctx.Err(), j.doc.Save(j.Stage.Dir())); err != nil {
			return err // what was sent before a cut is known all the same
		}
	}
	return nil
}

// pushTried notes whether publishing has failed, and when the polling reconcile
// tries it again.
func (j publisher) pushTried(b *build) {
	if b.pushErr != nil {
		j.Log.Error("push failed; the next run tries it again", "image", b.want.Name, "error", b.pushErr)
	}
	old, now := b.state.Push.Failure, j.now()
	f := old.After(b.pushErr, now)
	if f != nil {
		var before plan.Tries
		if old != nil {
			before = old.Tries
		}
		f = &state.Failure{Message: f.Message, Since: f.Since, Tries: before.After(j.publication(b).key(), b.whose(), now)}
	}
	b.state.Push.Failure = f
}

// push publishes one image and notes it in the build's state.
func (j publisher) push(ctx context.Context, b *build) error {
	p, next := j.publication(b), &state.Push{}
	if b.state.Push != nil {
		*next = *b.state.Push
	}
	if b.state.Push = next; next.Digest == "" {
		next.Ref = p.Ref
	}
	upload, err := j.upload(ctx, b, p)
	if err != nil {
		return fmt.Errorf("push %s: %w", p.Ref, err)
	}
	began := j.Now()
	done, err := image.Push(ctx, upload, j.Find.PushOptions(&p.Push))
	next.Blobs = map[string]image.Blob{}
	for i, blob := range done.Blobs {
		if blob.Digest != "" {
			next.Blobs[upload.Layers[i].DiffID] = blob
		}
	}
	if err == nil {
		next.Earlier = earlier(next, done.Digest, p.Deltas)
		err = j.publishObjects(ctx, b, p, upload, done.Digest)
	}
	if err != nil {
		return err
	}
	next.Ref, next.Key, next.Digest, next.Tag = p.Ref, p.key(), done.Digest, p.Tag
	if b.lost = ""; !done.There {
		b.pushed, next.Time = true, j.now()
		j.Log.Info("pushed", "image", b.want.Name, "ref", p.Ref, "tag", p.Tag, "digest", plan.Short(done.Digest), "took", j.Now().Sub(began).Round(10*time.Millisecond))
	}
	return nil
}

// earlier are the digests of what was pushed before this, newest first and no more than
// are asked for.
func earlier(known *state.Push, digest string, most int) (list []string) {
	for _, d := range append([]string{known.Digest}, known.Earlier...) {
		if d != "" && d != digest && len(list) < most && !slices.Contains(list, d) {
			list = append(list, d)
		}
	}
	return list
}

// publishObjects publishes what the layers of a pushed image become, if there is a key to
// sign that with: nobody would believe it without.
func (j publisher) publishObjects(ctx context.Context, b *build, p *publication, u image.Upload, digest string) error {
	if j.ObjectsKey == "" {
		return nil
	}
	key, err := readymade.ReadKey(j.ObjectsKey)
	if err != nil {
		return err
	}
	what := readymade.Image{Ref: p.Ref, Digest: digest}
	for _, l := range u.Layers {
		what.Layers = append(what.Layers, stage.Tar{DiffID: l.DiffID, Name: p.Image, Size: l.Size, Open: l.Open})
	}
	to := readymade.Publisher{Options: j.Find.PushOptions(&p.Push), Stage: j.Stage, Scratch: j.Stage.Workshop().Temp(), Init: j.Init, Key: key, Log: j.Log, Progress: j.Progress}
	to.Options.Platform = b.want.Build.Platform
	for _, digest := range b.state.Push.Earlier {
		ref, err := image.Pinned(p.Ref, digest)
		if err != nil {
			return err
		}
		to.Earlier = append(to.Earlier, ref)
	}
	out, err := to.Publish(ctx, what)
	if err != nil {
		return fmt.Errorf("publish what its layers become: %w", err)
	}
	if !out.There {
		j.Log.Info("published what layers become", "ref", p.Ref, "objects", out.Layers, "patches", out.Patches, "kernel", out.Kernel, "bytes", out.Bytes, "sent", out.Sent, "digest", plan.Short(out.Digest))
	}
	return nil
}

// upload describes what is to be pushed. Blobs that are known of this image or
// of another one are not made again.
func (j publisher) upload(ctx context.Context, b *build, p *publication) (image.Upload, error) {
	stored, err := j.stored(ctx, b)
	if errors.Is(err, engine.ErrGone) {
		return image.Upload{}, fmt.Errorf("%w any more; `gitboot image build %s --no-cache` builds it anew", err, b.want.Name)
	}
	if err != nil {
		return image.Upload{}, err
	}
	u := image.Upload{Ref: p.Ref, Tags: []string{p.Tag}, Compression: p.Compression}
	if u.Config, err = image.PublicConfig(stored.Config, b.state.Made.Time, p.Labels, relayer.Made); err != nil {
		return u, err
	}
	for _, l := range stored.Layers {
		u.Layers = append(u.Layers, image.UploadLayer{DiffID: l.DiffID, Size: l.Size, Open: l.Open, Known: b.knownBlob(l.DiffID, &p.Push)})
	}
	return u, nil
}

// knownBlob finds what a layer became when it was pushed before, with this image
// or with one of its bases, or what a base that was pulled from the registry has
// there.
func (b *build) knownBlob(diffID string, p *spec.Push) *image.Blob {
	for at := b; at != nil; at = at.parent {
		if at.state.Push == nil {
			continue
		}
		if blob, ok := at.state.Push.Blobs[diffID]; ok && strings.HasSuffix(blob.MediaType, "+"+p.Compression) {
			return &blob
		}
	}
	for at := b; at != nil; at = at.parent {
		if blob, ok := at.state.BaseBlobs[diffID]; ok && blob.In(p.Ref) {
			return &blob
		}
	}
	return nil
}
