package readymade

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/objects"
	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/squash"
)

// A bench is where what is published of one image is made. The stage is only read; what
// it lacks is made in another one, for as long as that takes.
type bench struct {
	Publisher
	layers []stage.Tar
	// made is what the layers became, and objects lie on holds, all of them; lacked is how
	// many the stage did not have.
	made    []*squash.Made
	objects []deployment.Object
	holds   *stage.Stage
	lacked  int
	// maps are those that mapOf has made.
	maps    map[deployment.Object]blockmap.Map
	scratch *stage.Stage
	dir     string
}

// own returns the stage for what is made.
func (b *bench) own() (st *stage.Stage, err error) {
	if b.scratch != nil {
		return b.scratch, nil
	}
	if b.dir, err = os.MkdirTemp(b.Scratch, "objects-"); err != nil {
		return nil, err
	}
	if b.scratch, err = stage.Create(b.dir); err == nil {
		b.scratch.Log = b.Log
	}
	return b.scratch, err
}

// clear removes it.
func (b *bench) clear() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

// squash makes the objects that are missing. What a layer lacks may come of those below
// it, so that all are there then.
func (b *bench) squash(ctx context.Context) (err error) {
	ids := make([]stage.LayerID, len(b.layers))
	for i, l := range b.layers {
		ids[i] = stage.LayerID{DiffID: l.DiffID, Blob: l.Blob}
	}
	b.made = make([]*squash.Made, len(ids))
	if b.holds = b.Stage; b.Stage != nil {
		if b.made, err = stage.Made(b.Stage, ids); err != nil {
			return err
		}
	}
	for _, m := range b.made {
		if m == nil {
			b.lacked++
		}
	}
	if b.lacked == 0 {
		b.objects, err = b.Stage.Layers(ids)
		return err
	}
	if b.holds, err = b.own(); err != nil {
		return err
	}
	layers := slices.Clone(b.layers)
	for i := range layers {
		layers[i].Made, layers[i].Progress = b.made[i], b.Progress
	}
	if b.objects, err = b.holds.AddLayers(ctx, layers, atOnce); err != nil {
		return stage.Failed(b.holds, err)
	}
	b.made, err = stage.Made(b.holds, ids)
	return err
}

// upload describes the layers that are published. The same one twice is one object.
func (b *bench) upload(ctx context.Context, img Image) (image.ArtifactUpload, objects.Description, error) {
	d := objects.Description{Image: img.Digest, Rewriter: stage.Rewriter, Squasher: squash.Squasher}
	u := image.ArtifactUpload{Ref: img.Ref, Subject: img.Digest, Type: objects.Type}
	there := map[deployment.Object]bool{}
	for i, m := range b.made {
		if m == nil {
			continue // what it lacks cannot be told: each makes it for itself
		}
		l := objects.Layer{DiffID: b.layers[i].DiffID, SHA256: m.Object.SHA256, Size: m.Object.Size, Taken: m.Taken}
		if m.Lacks != nil {
			l.Lacks = &objects.Lacks{Folders: m.Lacks.Folders, Files: m.Lacks.Files, Root: m.Lacks.Root}
		}
		blockMap, err := b.mapOf(ctx, m.Object)
		if err != nil {
			return u, d, err
		}
		blocks := blocksFile(blockMap.Encode())
		l.Blocks = &objects.File{SHA256: blocks.SHA256, Size: blocks.Size}
		d.Layers = append(d.Layers, l)
		if !there[m.Object] {
			there[m.Object] = true
			u.Files = append(u.Files, file(objects.Object, m.Object, func() (io.ReadCloser, error) { return m.Open(ctx) }), blocks)
		}
	}
	if len(u.Files) == 0 {
		return u, d, fmt.Errorf("none of the %d layers of %s became an object that others could use", len(b.layers), img.Ref)
	}
	return u, d, nil
}

// mapOf says of what blocks an object consists that is published.
func (b *bench) mapOf(ctx context.Context, o deployment.Object) (m blockmap.Map, err error) {
	if b.maps[o] != nil {
		return b.maps[o], nil
	}
	if m, _, err = blockMap(ctx, b.holds, o); err != nil {
		return nil, err
	}
	if b.maps == nil {
		b.maps = map[deployment.Object]blockmap.Map{}
	}
	b.maps[o] = m
	return m, nil
}

func file(kind string, o deployment.Object, open func() (io.ReadCloser, error)) image.ArtifactFile {
	return image.ArtifactFile{MediaType: kind, SHA256: o.SHA256, Size: o.Size, Open: open}
}
