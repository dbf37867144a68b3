// Package partial puts new layers of others' images together of files that older layers
// on the stage have, and of what is fetched besides: of zstd:chunked layers, by their
// tables of contents (package image/chunked). What comes out is hashed by whoever stages
// it: it is the layer, byte for byte, or the whole layer is pulled.
package partial

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/image/chunked"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/contents"
	"github.com/gitboot/gitboot/stage/squash"
)

const (
	// gap is how many bytes that are here are fetched all the same where that spares a
	// request, maxRequests how many requests for one layer there are without more of
	// that, and requestsAtOnce how many side by side.
	gap            = 16 << 10
	maxRequests    = 512
	requestsAtOnce = 4
	// smallest is the layer below which its table costs as much as all of it.
	smallest = 128 << 10
)

// A Finder finds out which files of layers are on the stage.
type Finder struct {
	Stage *stage.Stage
	// Older are objects of the stage that may have files of them, the likeliest first.
	Older    []deployment.Object
	Log      *slog.Logger
	Progress progress.Sink
	// measuredFrom is of which layers it is measured whether they come sooner whole, by
	// their size; 0 means those of which it matters.
	measuredFrom int64
}

// A Way is how a layer is had for fewer bytes.
type Way struct {
	squash.Partial
	// table is its table of contents.
	table []byte
}

// Ways finds out how layers of an image are had for fewer bytes. Of one for which there
// is no cheaper way it says nil; of nil, nil. What is fetched for that are the tables of
// contents. One that cannot be had or read does not help.
func (f Finder) Ways(ctx context.Context, name string, layers []*image.Layer) ([]*Way, error) {
	ways := make([]*Way, len(layers))
	older := slices.DeleteFunc(slices.Clone(f.Older), func(o deployment.Object) bool { return !contents.Known(f.Stage, o, contents.Files) })
	if len(older) == 0 {
		return ways, nil
	}
	jobs := make([]*assembly, len(layers))
	group, tables := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for i, l := range layers {
		if l != nil && l.Chunked != nil && l.Size >= smallest {
			jobs[i] = &assembly{stage: f.Stage, layer: l, name: fmt.Sprintf("%s %.19s", name, l.DiffID), older: older, progress: f.Progress, measuredFrom: cmp.Or(f.measuredFrom, measuredFrom)}
			group.Go(func() error { return f.fetchTable(tables, jobs[i]) })
		}
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := f.search(ctx, older, jobs); err != nil {
		return nil, err
	}
	for i, a := range jobs {
		if a != nil {
			ways[i] = a.way()
		}
	}
	return ways, nil
}

// fetchTable fetches a table of contents, if it can be had and is one.
func (f Finder) fetchTable(ctx context.Context, a *assembly) error {
	table, err := a.layer.Chunked.Contents(ctx)
	if err == nil {
		err = a.read(table)
	}
	if err != nil {
		a.files = nil
		f.Log.Warn("a layer is pulled whole: which files it has cannot be read", "layer", a.name, "error", err)
	}
	return ctx.Err()
}

// search looks for chunks of layers in all older objects.
func (f Finder) search(ctx context.Context, older []deployment.Object, jobs []*assembly) error {
	wanted := map[chunked.Digest]*place{}
	for _, a := range jobs {
		if a == nil {
			continue
		}
		for _, file := range a.files {
			for _, c := range file.Chunks {
				wanted[c.Digest] = nil
			}
		}
	}
	for i, o := range older {
		table, err := contents.Of(f.Stage, o, contents.Files)
		if err == nil {
			_, err = chunked.Read(table, func(file chunked.File) error {
				at := int64(0)
				for _, c := range file.Chunks {
					if found, asked := wanted[c.Digest]; asked && found == nil {
						wanted[c.Digest] = &place{i, file.Name, at}
					}
					at += c.Size
				}
				return ctx.Err()
			})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			f.Log.Debug("what is told of an older object is of no use", "object", o.Path(), "error", err)
		}
	}
	for _, a := range jobs {
		if a != nil {
			a.places = wanted
		}
	}
	return nil
}

// Keep keeps the tables of contents of an image's layers on the stage, for what comes
// later. Ways are those that were found for them, objects what they became.
func Keep(ctx context.Context, st *stage.Stage, layers []image.Layer, ways map[string]*Way, objects []deployment.Object) error {
	for i, l := range layers {
		if l.Chunked == nil || l.Size < smallest || contents.Known(st, objects[i], contents.Files) {
			continue
		}
		var table []byte
		if way := ways[l.DiffID]; way != nil {
			table = way.table
		} else {
			var err error
			if table, err = l.Chunked.Contents(ctx); err != nil {
				return err
			}
		}
		if err := contents.Put(st, objects[i], contents.Files, table); err != nil {
			return err
		}
	}
	return nil
}
