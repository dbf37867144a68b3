// Package drift finds what is on the stage and in the boot loader's hands and is not
// what was written there last: something else has changed it, or the disk has. What is
// only not what is wanted now is none of it. A run puts right what it can, whatever
// the cause; this is so that it can be told.
package drift

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/menu"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/stage"
)

// Seen returns all that is not as a document says that it was written. The menu that
// is to be shown now is next's.
func Seen(ctx context.Context, book *menu.Book, at boot.Filesystem, doc, next *state.Machine) ([]plan.Drift, error) {
	seen, err := shown(ctx, book, at, doc.Written, next)
	return append(seen, staged(book.Stage, doc)...), err
}

// Overwrite notes in a document that is going to be published what that puts right of
// the boot loader's files, and what is going to be in them.
func Overwrite(ctx context.Context, book *menu.Book, at boot.Filesystem, doc *state.Machine, now time.Time) error {
	seen, err := shown(ctx, book, at, doc.Written, doc)
	if err != nil {
		return err
	}
	if news := plan.News(doc.Drift, seen); len(news) > 0 {
		doc.Drift = plan.Remember(doc.Drift, news, now)
	}
	for i, d := range doc.Drift {
		if d.Mended.IsZero() && d.Thing.Shown() {
			doc.Drift[i].Mended = now
		}
	}
	return book.Foresee(ctx, at, doc)
}

// shown is what is otherwise of the boot loader's.
func shown(ctx context.Context, book *menu.Book, at boot.Filesystem, written *state.Written, doc *state.Machine) (out []plan.Drift, err error) {
	trace, err := book.Trace(ctx, at, doc)
	if err != nil {
		return nil, err
	}
	files, block := trace.Foreign(written)
	for _, f := range files {
		d := plan.Drift{Thing: plan.TheMenu, Path: f.Name, How: plan.Changed(f.Have != "")}
		switch {
		case f.Part:
			d.Thing = plan.TheLink
		case f.Copy:
			d.Thing = plan.ACopy
		}
		out = append(out, d)
	}
	if block {
		d := plan.Drift{Thing: plan.TheBlock, Path: trace.Block.Name, How: plan.Changed(trace.Block.Have != "")}
		if trace.Damaged {
			d.How = "is damaged"
		}
		out = append(out, d)
	}
	return out, nil
}

// staged is what is otherwise of what a document names on the stage.
func staged(st *stage.Stage, doc *state.Machine) []plan.Drift {
	l := look{stage: st, seen: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(doc.Images)) {
		img := doc.Images[name]
		for _, g := range slices.Backward(img.Generations) {
			l.deployment(g.Deployment, name, g.N)
		}
		if img.Ready != nil {
			l.deployment(img.Ready.Deployment, name, img.Ready.N)
		}
	}
	if t := doc.Trial; t != nil {
		l.deployment(t.Deployment, t.Image, 0)
	}
	if r := doc.Recovery; r != nil && r.Deployment != "" {
		l.deployment(r.Deployment, "", 0)
	}
	return l.out
}

// A look at the stage tells of each file once.
type look struct {
	stage *stage.Stage
	seen  map[string]bool
	out   []plan.Drift
}

func (l *look) add(d plan.Drift) {
	if !l.seen[d.Path] {
		l.seen[d.Path] = true
		l.out = append(l.out, d)
	}
}

// deployment looks at a manifest and at the objects that it names.
func (l *look) deployment(id, image string, n int) {
	m, err := l.stage.Deployment(id)
	if err != nil {
		there := !errors.Is(err, stage.ErrNoDeployment)
		l.add(plan.Drift{Thing: plan.TheManifest, Path: "deployments/" + id + ".json", How: plan.Changed(there), Image: image, Generation: n})
		return
	}
	for _, o := range m.Objects() {
		how := l.object(o)
		if how == "" {
			continue
		}
		d := plan.Drift{Thing: plan.AnObject, Path: o.Path(), How: how, Image: image, Generation: n}
		if m.Hooks != nil && o == *m.Hooks {
			d.Thing = plan.TheHooks
		}
		l.add(d)
	}
}

// object says what is wrong with an object, "" if nothing can be seen.
func (l *look) object(o deployment.Object) string {
	info, err := os.Stat(l.stage.ObjectPath(o))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return plan.Changed(false)
	case err != nil:
		return "cannot be looked at"
	case info.Size() != o.Size:
		return fmt.Sprintf("is %d bytes long instead of %d", info.Size(), o.Size)
	case l.stage.Damaged(o):
		return "is damaged"
	}
	return ""
}
