package parcel

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/documents"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/library"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/readymade"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// image puts an image into the parcel: what its registry says of it, what its layers
// became, and, of a layer that a machine would not take as that, the layer itself.
func (e *exporter) image(ctx context.Context, want spec.Image, files fs.FS) error {
	find, from, err := e.find(ctx, want.Pull)
	if err != nil {
		return err
	}
	opts := find.PullOptions(want.Pull)
	opened, err := image.Open(ctx, want.Pull.Ref, from.Digest, opts)
	if err != nil {
		return err
	}
	in := Image{Ref: want.Pull.Ref, Digest: from.Digest}
	if !e.done[in] {
		book := library.Book{Pull: want.Pull, Origin: from, Opened: opened}
		if err := errors.Join(library.Keep(e.to.documents(), book, e.out.Made), library.Complete(ctx, e.to.documents(), &find, book, e.out.Made)); err != nil {
			return err
		}
		if err := e.makeObjects(ctx, want, from, opened, opts); err != nil {
			return err
		}
		e.done[in] = true
		e.out.Images = append(e.out.Images, in)
	}
	return e.asItIs(ctx, want, from, files)
}

// find says what an image is, and who has what is to be known of it: the stage, as long as
// it has it, so that nobody has to be asked.
func (e *exporter) find(ctx context.Context, pull *spec.Pull) (origin.Finder, state.Origin, error) {
	find := e.r.Machine.Find
	repository, tag, err := image.Repository(pull.Ref)
	if err != nil {
		return find, state.Origin{}, err
	}
	for _, i := range e.staged {
		if i.Repository == repository && (i.Tag == tag && tag != "" || strings.HasSuffix(pull.Ref, "@"+i.Named)) {
			find.Options.Local = documents.Shelf{Store: library.On(e.r.Machine.Stage), Object: func(string) (*os.File, error) { return nil, fs.ErrNotExist }}.Handler()
			return find, state.Origin{Digest: i.Named, Tag: i.Tag}, nil
		}
	}
	named, err := image.Resolve(ctx, pull.Ref, find.PullOptions(pull))
	return find, state.Origin{Digest: named.Digest, Within: named.Within, Tag: named.Tag}, err
}

// makeObjects writes what the layers became here, or make them become that, as if it had
// been published.
func (e *exporter) makeObjects(ctx context.Context, want spec.Image, from state.Origin, opened *image.Image, opts image.Options) error {
	p := readymade.Publisher{Options: opts, Stage: e.r.Machine.Stage, Scratch: e.Scratch, Init: e.r.Machine.Init, Key: e.Key, Log: e.Log, Progress: e.Progress}
	tars, err := e.tars(ctx, want, from, opened)
	if err != nil {
		return err
	}
	_, err = p.Make(ctx, readymade.Image{Ref: want.Pull.Ref, Digest: opened.Digest, Layers: tars}, func(u image.ArtifactUpload) error {
		for _, f := range u.Files {
			o := deployment.Object{SHA256: f.SHA256, Size: f.Size}
			if e.named[o.SHA256] || e.has[o] {
				continue
			}
			if err := e.add(ctx, o, f.Open); err != nil {
				return err
			}
		}
		subject := slices.IndexFunc(opened.Originals, func(d image.Original) bool {
			return d.Manifest && opened.Digest == fmt.Sprintf("sha256:%x", sha256.Sum256(d.Data))
		})
		made, err := image.Attachment(want.Pull.Ref, u, opened.Originals[subject].Data, e.Key)
		if err != nil {
			return err
		}
		return library.Add(e.to.documents(), want.Pull.Ref, from.Digest, made)
	})
	return err
}

// tars are the layers, read from the registry where the stage lacks them: it has what is
// said of them alone.
func (e *exporter) tars(ctx context.Context, want spec.Image, from state.Origin, opened *image.Image) (tars []stage.Tar, err error) {
	ids := make([]stage.LayerID, len(opened.Layers))
	for i, l := range opened.Layers {
		ids[i] = stage.LayerID{DiffID: l.DiffID, Blob: l.Digest}
	}
	made, err := stage.Made(e.r.Machine.Stage, ids)
	if err != nil {
		return nil, err
	}
	if slices.Contains(made, nil) {
		if opened, err = e.afar(ctx, want, from); err != nil {
			return nil, err
		}
	}
	for _, l := range opened.Layers {
		tars = append(tars, stage.Tar{DiffID: l.DiffID, Blob: l.Digest, Name: want.Name, Largest: l.Largest(), Open: l.Open})
	}
	return tars, nil
}

// afar opens the image where it comes from.
func (e *exporter) afar(ctx context.Context, want spec.Image, from state.Origin) (*image.Image, error) {
	find := e.r.Machine.Find
	return image.Open(ctx, want.Pull.Ref, from.Digest, find.PullOptions(want.Pull))
}

// asItIs adds the layers of which the machine would believe nothing that is in the parcel.
func (e *exporter) asItIs(ctx context.Context, want spec.Image, from state.Origin, files fs.FS) error {
	there := e.r.Machine.Find
	there.Options.Local = e.to.handler()
	seen, err := there.Open(ctx, want, from.Digest, files)
	if err != nil {
		return err
	}
	var source *image.Image
	for i, l := range seen.Layers {
		if made := readymade.Take(l.Made); made != nil && want.Pull.Objects == "" && (e.named[made.Object.SHA256] || e.has[made.Object]) {
			continue
		}
		o := deployment.Object{SHA256: strings.TrimPrefix(l.Digest, "sha256:"), Size: l.Size}
		if e.named[o.SHA256] || e.hasLayer(l) {
			continue
		}
		if source == nil {
			if source, err = e.afar(ctx, want, from); err != nil {
				return fmt.Errorf("its layers have to be taken along as they are, because the config repo believes nobody whose key is here: %w; `--key` signs what is made of them here, for machines that name it in objects_from", err)
			}
		}
		if err := e.add(ctx, o, func() (io.ReadCloser, error) { return source.Layers[i].Stored(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// hasLayer reports whether a layer is one that was left out.
func (e *exporter) hasLayer(l image.Layer) bool {
	objects, err := e.r.Machine.Stage.Layers([]stage.LayerID{{DiffID: l.DiffID, Blob: l.Digest}})
	return err == nil && e.has[objects[0]]
}

func (e *exporter) add(ctx context.Context, o deployment.Object, open func() (io.ReadCloser, error)) error {
	n, err := e.to.add(ctx, o, open, e.Progress)
	if err == nil {
		e.named[o.SHA256] = true
		e.out.Objects, e.out.Bytes = e.out.Objects+1, e.out.Bytes+n
	}
	return err
}
