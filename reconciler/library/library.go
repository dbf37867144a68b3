// Package library keeps on a stage what registries say of the images that are staged, so
// that a machine can be for others what the registry was for it.
package library

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/gitboot/gitboot/documents"
	"github.com/gitboot/gitboot/image"
	"github.com/gitboot/gitboot/reconciler/origin"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
	"github.com/gitboot/gitboot/stage"
)

// On is a stage's.
func On(st *stage.Stage) documents.Store {
	return documents.Store(filepath.Join(st.Dir(), stage.DocumentsDir))
}

// A Book is an image of a registry that is staged.
type Book struct {
	Pull *spec.Pull
	// Origin is what it means now.
	Origin state.Origin
	// Opened is the image, nil if a generation holds it already.
	Opened *image.Image
}

// Keep keeps what a registry says of an image. What is not known of it is asked for: what
// of that cannot be had is in the error, and the rest is kept.
func Keep(ctx context.Context, to documents.Store, find *origin.Finder, b Book, now time.Time) error {
	repository, tag, err := image.Repository(b.Pull.Ref)
	if err != nil {
		return err
	}
	kept := documents.Image{Repository: repository, Named: b.Origin.Digest, Tag: cmp.Or(tag, b.Origin.Tag), Seen: now}
	if there, err := to.Saw(repository, kept.Named, kept.Tag, now); err != nil || there || b.Opened == nil {
		return err
	}
	kept.Digest = b.Opened.Digest
	belonging, asked := image.Belonging(ctx, b.Pull.Ref, kept.Named, b.Opened, find.PullOptions(b.Pull))
	var list []documents.Document
	for _, o := range slices.Concat(b.Opened.Originals, belonging) {
		list = append(list, documents.Document(o))
	}
	return errors.Join(asked, to.Put(kept, list))
}

// Collect removes what belongs to images of which there is no generation any more.
func Collect(st *stage.Stage, doc *state.Machine) error {
	used := map[string]bool{}
	for _, img := range doc.Images {
		for _, g := range img.Generations {
			used[g.Inputs.ImageDigest] = true
		}
		if img.Ready != nil {
			used[img.Ready.Inputs.ImageDigest] = true
		}
	}
	return On(st).Collect(func(i documents.Image) bool { return used[i.Named] })
}

// Add adds to what is kept of an image, which was named by a digest, what somebody has made.
func Add(to documents.Store, ref, named string, made []image.Original) error {
	repository, _, err := image.Repository(ref)
	if err != nil {
		return err
	}
	list, err := to.Images()
	at := slices.IndexFunc(list, func(i documents.Image) bool { return i.Repository == repository && i.Named == named })
	if err != nil || at < 0 {
		return errors.Join(err, fmt.Errorf("nothing is kept of %s", ref))
	}
	var add []documents.Document
	for _, o := range made {
		add = append(add, documents.Document(o))
	}
	return to.Put(list[at], add)
}
