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

// record is what is kept of it.
func (b Book) record(now time.Time) (documents.Image, error) {
	repository, tag, err := image.Repository(b.Pull.Ref)
	kept := documents.Image{Repository: repository, Named: b.Origin.Digest, Tag: cmp.Or(tag, b.Origin.Tag), Seen: now}
	if b.Opened != nil {
		kept.Digest = b.Opened.Digest
	}
	return kept, err
}

// Keep keeps what is known of an image since it was opened, and by which tag it was found:
// nobody is asked.
func Keep(to documents.Store, b Book, now time.Time) error {
	kept, err := b.record(now)
	if err != nil {
		return err
	}
	if there, err := to.Saw(kept.Repository, kept.Named, kept.Tag, now); err != nil || there || b.Opened == nil {
		return err
	}
	return to.Put(kept, known(b.Opened))
}

// Complete keeps what else belongs to an image, for which its registry is asked, unless it
// was before.
func Complete(ctx context.Context, to documents.Store, find *origin.Finder, b Book, now time.Time) error {
	kept, err := b.record(now)
	if err != nil || b.Opened == nil {
		return err
	}
	if whole, err := to.Whole(kept.Repository, kept.Named); err != nil || whole {
		return err
	}
	belonging, err := image.Belonging(ctx, b.Pull.Ref, kept.Named, b.Opened, find.PullOptions(b.Pull))
	if err != nil {
		return err
	}
	kept.Whole = true
	return to.Put(kept, known(b.Opened, belonging...))
}

func known(opened *image.Image, more ...image.Original) (list []documents.Document) {
	for _, o := range slices.Concat(opened.Originals, more) {
		list = append(list, documents.Document(o))
	}
	return list
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
