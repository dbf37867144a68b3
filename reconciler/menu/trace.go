package menu

import (
	"context"
	"maps"
	"path/filepath"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/boot/loader"
	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/reconciler/state"
)

// damagedBlock is what stands for a block that cannot be read.
const damagedBlock = "damaged"

// A Trace is what is there of the boot loader's files, and of what it counts, and what
// is to be there.
type Trace struct {
	Files []loader.Trace
	// Block is, where something is counted, which entry that is; its Name is the
	// block's, else empty. Damaged says that it could not be read.
	Block   loader.Trace
	Damaged bool
}

// Trace looks at what is written of a document's menu. Of a boot loader that cannot
// tell it is nothing.
func (b *Book) Trace(ctx context.Context, fs boot.Filesystem, doc *state.Machine) (t Trace, err error) {
	p, err := b.publishing(ctx, fs, doc)
	if err != nil {
		return t, err
	}
	if tracing, ok := p.Loader.(loader.Tracing); ok {
		if t.Files, err = tracing.Trace(ctx, p.menu); err != nil {
			return t, err
		}
	}
	if p.memory == nil {
		return t, nil
	}
	t.Block = loader.Trace{Name: deployment.BlockFile, Want: p.menu.Default}
	if at := p.memory.Location(); at != (deployment.Location{}) {
		t.Block.Name = at.String()
	}
	is, err := p.memory.Read()
	if t.Block.Have = is.Trying; err != nil {
		t.Block.Have, t.Damaged = damagedBlock, true
	}
	return t, nil
}

// Foresee notes in a document what is going to be written of its menu, before that is
// done, and what is there until then.
func (b *Book) Foresee(ctx context.Context, fs boot.Filesystem, doc *state.Machine) error {
	t, err := b.Trace(ctx, fs, doc)
	if err != nil {
		return err
	}
	w := state.Written{Sums: map[string]string{}, Before: map[string]string{}}
	if doc.Written != nil { // of a boot loader that is not in reach now, too
		maps.Copy(w.Sums, doc.Written.Sums)
	}
	t.forget(w.Sums)
	for _, f := range append(t.Files, t.Block) {
		if f.Name == "" {
			continue
		}
		if w.Sums[f.Name] = f.Want; f.Have != f.Want {
			w.Before[f.Name] = f.Have
		}
	}
	if len(w.Before) == 0 {
		w.Before = nil
	}
	doc.Written = &w
	return nil
}

// forget leaves copies and single entries out that are no more, by the folders of those
// that are.
func (t Trace) forget(sums map[string]string) {
	copies, entries := map[string]bool{}, map[string]bool{}
	for _, f := range t.Files {
		switch {
		case f.Copy:
			copies[filepath.Dir(f.Name)] = true
		case f.One:
			entries[filepath.Dir(f.Name)] = true
		}
	}
	maps.DeleteFunc(sums, func(name, _ string) bool {
		dir := filepath.Dir(name)
		return entries[dir] || copies[dir] && deployment.IsHash(filepath.Base(name))
	})
}

// Foreign returns what others have changed since it was written for a document.
func (t Trace) Foreign(w *state.Written) (files []loader.Trace, block bool) {
	for _, f := range t.Files {
		if w.Foreign(f.Name, f.Have) {
			files = append(files, f)
		}
	}
	return files, t.Block.Name != "" && w.Foreign(t.Block.Name, t.Block.Have)
}
