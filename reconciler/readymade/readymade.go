// Package readymade publishes the squashfs objects that an image's layers become,
// beside the image in its registry: a machine that believes their signature fetches
// them instead of unpacking and squashing the layers itself.
package readymade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// atOnce is how many layers are squashed side by side.
const atOnce = 2

// A Publisher publishes objects.
type Publisher struct {
	// Options are for the registry.
	Options image.Options
	// Stage has layers already, nil if there is none.
	Stage *stage.Stage
	// Scratch is a folder with room for those that have to be made.
	Scratch string
	// Key signs what is published, nil if somebody else does.
	Key      *cosign.Signer
	Log      *slog.Logger
	Progress progress.Sink
}

// An Image is one that is in a registry.
type Image struct {
	// Ref is its reference, and Digest that of its manifest, of one platform.
	Ref, Digest string
	// Layers are its layers, lowest first.
	Layers []stage.Tar
}

// PublishRef publishes the objects of the image that a reference means now, whoever
// made it.
func (p Publisher) PublishRef(ctx context.Context, ref string) (Published, error) {
	opened, err := image.Open(ctx, ref, "", p.Options)
	if err != nil {
		return Published{}, err
	}
	if out, err := p.published(ctx, ref, opened); err != nil || out.There {
		return out, err
	}
	what := Image{Ref: ref, Digest: opened.Digest}
	for _, l := range opened.Layers {
		what.Layers = append(what.Layers, stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Name: ref, Largest: l.Largest(), Open: l.Open})
	}
	return p.Publish(ctx, what)
}

// published finds out whether all of it was published before, and signed by the same key.
func (p Publisher) published(ctx context.Context, ref string, opened *image.Image) (out Published, err error) {
	if p.Key == nil {
		return out, nil
	}
	ours, err := p.Key.Policy("")
	if err != nil {
		return out, err
	}
	if _, err := image.FindMade(ctx, ref, opened, []cosign.Policy{ours}, p.Options); err != nil {
		return out, err
	}
	counted := map[string]bool{}
	for _, l := range opened.Layers {
		if l.Made == nil {
			return Published{}, nil
		}
		if out.Digest = l.Made.Published; !counted[l.Made.SHA256] {
			counted[l.Made.SHA256] = true
			out.Layers, out.Bytes = out.Layers+1, out.Bytes+l.Made.Size
		}
	}
	out.There, out.Signed = true, true
	return out, nil
}

// Published is what became of it.
type Published struct {
	image.Attached
	// Layers is how many objects there are, and Made how many of them the stage did
	// not have.
	Layers, Made int
	Bytes        int64
	Signed       bool
}

// Publish publishes the objects of an image.
func (p Publisher) Publish(ctx context.Context, img Image) (out Published, err error) {
	made, err := p.staged(img.Layers)
	if err != nil {
		return out, err
	}
	for _, m := range made {
		if m == nil {
			out.Made++
		}
	}
	if out.Made > 0 {
		var remove func() error
		if made, remove, err = p.squash(ctx, img.Layers, made); err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, remove()) }()
	}
	upload, err := p.upload(ctx, img, made)
	if err != nil {
		return out, err
	}
	for _, f := range upload.Files {
		out.Bytes += f.Size
	}
	out.Layers = len(upload.Files)
	if out.Attached, err = image.Attach(ctx, upload, p.Options); err != nil || p.Key == nil {
		return out, err
	}
	out.Signed = true
	return out, image.Sign(ctx, img.Ref, out.Digest, *p.Key, p.Options)
}

// staged is what the stage has of the layers.
func (p Publisher) staged(layers []stage.Tar) ([]*squash.Made, error) {
	if p.Stage == nil {
		return make([]*squash.Made, len(layers)), nil
	}
	return stage.Made(p.Stage, ids(layers))
}

func ids(layers []stage.Tar) (list []stage.LayerID) {
	for _, l := range layers {
		list = append(list, stage.LayerID{DiffID: l.DiffID, Blob: l.Blob})
	}
	return list
}

// squash makes the objects that are missing, in a stage of its own which the caller
// removes: what a layer lacks may come of those below it, so that all are there.
func (p Publisher) squash(ctx context.Context, layers []stage.Tar, have []*squash.Made) (made []*squash.Made, remove func() error, err error) {
	dir, err := os.MkdirTemp(p.Scratch, "objects-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() error { return os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			err = errors.Join(err, remove())
		}
	}()
	st, err := stage.Create(dir)
	if err != nil {
		return nil, nil, err
	}
	st.Log = p.Log
	layers = slices.Clone(layers)
	for i := range layers {
		layers[i].Made, layers[i].Progress = have[i], p.Progress
	}
	if _, err := st.AddLayers(ctx, layers, atOnce); err != nil {
		return nil, nil, stage.Failed(st, err)
	}
	made, err = stage.Made(st, ids(layers))
	return made, remove, err
}

// upload describes what is published. The same layer twice is one object.
func (p Publisher) upload(ctx context.Context, img Image, made []*squash.Made) (image.ArtifactUpload, error) {
	d := objects.Description{Image: img.Digest, Rewriter: stage.Rewriter, Squasher: squash.Squasher}
	u := image.ArtifactUpload{Ref: img.Ref, Subject: img.Digest, Type: objects.Type}
	there := map[deployment.Object]bool{}
	for i, m := range made {
		if m == nil {
			continue // what it lacks cannot be told: each makes it for itself
		}
		l := objects.Layer{DiffID: img.Layers[i].DiffID, SHA256: m.Object.SHA256, Size: m.Object.Size, Taken: m.Taken}
		if m.Lacks != nil {
			l.Lacks = &objects.Lacks{Folders: m.Lacks.Folders, Files: m.Lacks.Files, Root: m.Lacks.Root}
		}
		d.Layers = append(d.Layers, l)
		if !there[m.Object] {
			there[m.Object] = true
			u.Files = append(u.Files, image.ArtifactFile{
				MediaType: objects.Object, SHA256: m.Object.SHA256, Size: m.Object.Size,
				Open: func() (io.ReadCloser, error) { return m.Open(ctx) },
			})
		}
	}
	if len(u.Files) == 0 {
		return u, fmt.Errorf("none of the %d layers of %s became an object that others could use", len(img.Layers), img.Ref)
	}
	var err error
	u.Config, err = d.Encode()
	return u, err
}

// Take is what a machine is told of an object that was published, nil where there is none
// or layers are rewritten in another way here: then it is not what they become.
func Take(m *image.Made) *squash.Made {
	if m == nil || m.Rewriter != stage.Rewriter {
		return nil
	}
	made := &squash.Made{Object: deployment.Object{SHA256: m.SHA256, Size: m.Size}, Taken: m.Taken, Open: m.Open}
	if m.Lacks != nil {
		made.Lacks = &squash.Lacks{Folders: m.Lacks.Folders, Files: m.Lacks.Files, Root: m.Lacks.Root}
	}
	return made
}
