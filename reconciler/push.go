package reconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/build/engine"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/spec"
)

// PushState is what was published of an image.
type PushState struct {
	// Ref is where, Key a hash of all that decides what was published there.
	Ref string `json:"ref,omitempty"`
	Key string `json:"key,omitempty"`
	// Digest is the manifest's, Tag the dated one.
	Digest string    `json:"digest,omitempty"`
	Tag    string    `json:"tag,omitempty"`
	Time   time.Time `json:"time,omitzero"`
	// Blobs are what the layers became, by diff id.
	Blobs   map[string]image.Blob `json:"blobs,omitempty"`
	Failure *Failure              `json:"failure,omitempty"`
}

// pushReason says why an image is to be published, "" if it need not be.
func (r *Reconciler) pushReason(b *observedBuild) string {
	p, known := r.publication(b), b.state.Push
	switch {
	case b.want.Build.Push == nil || b.err != nil:
		return ""
	case len(b.reasons) > 0:
		return "it is built; not needed if that comes out the same"
	case p == nil:
		return ""
	case known == nil || known.Digest == "" && known.Failure == nil:
		return "it was not published yet"
	case known.Failure != nil && known.Failure.Key == p.key() && r.rests(known.Failure):
		return "" // the polling reconcile leaves it alone for a while
	case known.Failure != nil:
		return "the last push failed"
	case known.Ref != p.Ref:
		return "it was published as " + known.Ref
	case known.Key != p.key():
		return "it changed"
	}
	return b.lost
}

// observePushes asks registries whether they still have what was published,
// where this run was told to look anew.
func (r *Reconciler) observePushes(ctx context.Context, o *observation) {
	for _, b := range o.builds {
		push := b.want.Build.Push
		if !r.Update || push == nil || r.pushReason(b) != "" || b.err != nil {
			continue
		}
		found, err := image.Resolve(ctx, push.Ref, r.pushOptions(push))
		missing := (*image.NotFoundError)(nil)
		switch {
		case errors.As(err, &missing):
			b.lost = "the registry does not have it any more"
		case err != nil:
			r.Log.Debug("published image not looked up", "image", b.want.Name, "ref", push.Ref, "error", err)
			b.lost = "the registry did not say whether it still has it"
		case found.Digest != b.state.Push.Digest:
			b.lost = "the registry has another one, " + plan.Short(found.Digest)
		}
	}
}

func (r *Reconciler) pushOptions(p *spec.Push) image.Options {
	opts := r.imageOptions()
	opts.Insecure = p.Insecure
	if p.CredentialsFile != "" {
		opts.CredentialsFile = p.CredentialsFile
	}
	return opts
}

// planPushes adds what is to be published to the plan.
func (r *Reconciler) planPushes(o *observation) {
	for _, b := range o.builds {
		if reason := r.pushReason(b); reason != "" {
			o.plan.Pushes = append(o.plan.Pushes, plan.Push{Image: b.want.Name, Ref: b.want.Build.Push.Ref, Reason: reason})
		}
	}
}

// pushAll publishes what is to be, bases first so that what is built from them
// finds their layers in the registry. What was built by this run is compared
// with the registry even if it came out the same. Each image's failure is its
// own, and is noted in state with what was done.
func (r *Reconciler) pushAll(ctx context.Context, o *observation, state *State) error {
	for _, b := range o.builds {
		if b.err != nil || r.publication(b) == nil || r.pushReason(b) == "" && !b.ran {
			continue
		}
		b.pushErr = inTime(ctx, r.ImageTime, func(ctx context.Context) error { return r.push(ctx, b) })
		if ctx.Err() == nil {
			r.pushTried(b)
		}
		saved := state.build(b.want.Name)
		saved.Push = b.state.Push
		state.setBuild(b.want.Name, saved)
		if err := errors.Join(ctx.Err(), state.Save(r.Stage)); err != nil {
			return err // what was sent before a cut is known all the same
		}
	}
	return nil
}

// pushTried notes whether publishing has failed, and when the polling reconcile
// tries it again.
func (r *Reconciler) pushTried(b *observedBuild) {
	if b.pushErr != nil {
		r.Log.Error("push failed; the next run tries it again", "image", b.want.Name, "error", b.pushErr)
	}
	old, now := b.state.Push.Failure, r.Now().UTC().Truncate(time.Second)
	f := newFailure(old, b.pushErr, now)
	if f != nil {
		copied := *f
		f = &copied
		f.Attempts, f.Key = 1, r.publication(b).key()
		if old != nil && old.Key == f.Key {
			f.Attempts = old.Attempts + 1
		}
		f.Next = now.Add(pause(f.Attempts))
	}
	b.state.Push.Failure = f
}

// push publishes one image and notes it in the build's state.
func (r *Reconciler) push(ctx context.Context, b *observedBuild) error {
	p, next := r.publication(b), &PushState{}
	if b.state.Push != nil {
		*next = *b.state.Push
	}
	if b.state.Push = next; next.Digest == "" {
		next.Ref = p.Ref
	}
	upload, err := r.upload(ctx, b, p)
	if err != nil {
		return fmt.Errorf("push %s: %w", p.Ref, err)
	}
	began := r.Now()
	done, err := image.Push(ctx, upload, r.pushOptions(&p.Push))
	next.Blobs = map[string]image.Blob{}
	for i, blob := range done.Blobs {
		if blob.Digest != "" {
			next.Blobs[upload.Layers[i].DiffID] = blob
		}
	}
	if err != nil {
		return err
	}
	next.Ref, next.Key, next.Digest, next.Tag = p.Ref, p.key(), done.Digest, p.Tag
	if b.lost = ""; !done.There {
		b.pushed, next.Time = true, r.Now().UTC().Truncate(time.Second)
		r.Log.Info("pushed", "image", b.want.Name, "ref", p.Ref, "tag", p.Tag, "digest", plan.Short(done.Digest), "took", r.Now().Sub(began).Round(10*time.Millisecond))
	}
	return nil
}

// upload describes what is to be pushed. Blobs that are known of this image or
// of another one are not made again.
func (r *Reconciler) upload(ctx context.Context, b *observedBuild, p *publication) (image.Upload, error) {
	e, err := r.engine(b)
	if err != nil {
		return image.Upload{}, err
	}
	stored, err := e.Image(ctx, b.state.ID)
	if errors.Is(err, engine.ErrGone) {
		return image.Upload{}, fmt.Errorf("%w any more; `gitboot image build %s --no-cache` builds it anew", err, b.want.Name)
	}
	if err != nil {
		return image.Upload{}, err
	}
	u := image.Upload{Ref: p.Ref, Tags: []string{p.Tag}, Compression: p.Compression}
	if u.Config, err = image.PublicConfig(stored.Config, b.state.Made.Time, p.Labels); err != nil {
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
func (b *observedBuild) knownBlob(diffID string, p *spec.Push) *image.Blob {
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

// push publishes images, after all that this machine needs itself: a registry
// that is slow or gone holds up no boot menu, and no revision that wants something
// else.
func (a *application) push(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer lookOut(ctx, a.Reconciler, a.revision.Hash, func(newer *observation) {
		if !a.wantsSame(newer) {
			stop(&SupersededError{newer.revision.Hash})
		}
	})()
	err := a.pushAll(ctx, a.observation, a.next)
	if newer := context.Cause(ctx); superseded(newer) {
		return newer
	}
	return err
}

// pushed returns what was published, as a plan has it, and what was not.
func (o *observation) pushed() (done []plan.Push, failed map[string]error) {
	failed = map[string]error{}
	for _, b := range o.builds {
		if b.pushed {
			done = append(done, plan.Push{Image: b.want.Name, Ref: b.want.Build.Push.Ref, Reason: "digest " + plan.Short(b.state.Push.Digest)})
		}
		if b.pushErr != nil {
			failed[b.want.Name] = b.pushErr
		}
	}
	return done, failed
}
