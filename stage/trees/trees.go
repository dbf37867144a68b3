// Package trees keeps the hash trees of a stage's layers. Each is made when it is
// first wanted, also of layers that were staged before anybody wanted one; it is an
// object of its own, remembered beside the layers' records, and goes when no
// deployment names it.
package trees

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/stage/hashtree"
	"github.com/gitboot/gitboot/stage/internal/record"
)

// Of returns the hash tree of a layer's object. The caller holds the stage's lock.
func Of(ctx context.Context, s *stage.Stage, layer deployment.Object) (deployment.Tree, error) {
	if t, ok := known(s, layer); ok {
		return t, nil
	}
	t, err := add(ctx, s, layer)
	if err != nil {
		return t, fmt.Errorf("hash tree of %s: %w", layer.Path(), err)
	}
	return t, nil
}

// Missing returns how many bytes the trees of layers take that are not there.
func Missing(s *stage.Stage, layers []deployment.Object) (n int64) {
	for _, o := range layers {
		if _, ok := known(s, o); !ok {
			n += hashtree.Size(o.Size)
		}
	}
	return n
}

// known returns the tree that is remembered, if it is there.
func known(s *stage.Stage, layer deployment.Object) (deployment.Tree, bool) {
	path := record.TreePath(record.Trees(s.Dir()), layer)
	r, err := record.Read[record.Tree](path)
	if err != nil || r.Layer != layer || !deployment.IsHash(r.Tree.Root) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) && s.Log != nil {
			s.Log.Warn("ignoring an unreadable record of a hash tree", "path", path, "error", err)
		}
		return deployment.Tree{}, false
	}
	info, err := os.Stat(s.ObjectPath(r.Tree.Object))
	return r.Tree, err == nil && info.Size() == r.Tree.Size && !s.Damaged(r.Tree.Object)
}

// add makes a tree. The layer is hashed as a whole, too, in the same reading: the
// tree of a damaged one would vouch for what it has become.
func add(ctx context.Context, s *stage.Stage, layer deployment.Object) (t deployment.Tree, err error) {
	if err := s.HasRoom(hashtree.Size(layer.Size)); err != nil {
		return t, err
	}
	data, err := os.Open(s.ObjectPath(layer))
	if err != nil {
		return t, err
	}
	defer data.Close()
	f, err := os.CreateTemp(s.Temp(), "tree-")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	sum, root, err := hashtree.Write(ctx, f, data, layer.Size, layer.SHA256)
	switch {
	case err != nil:
		return t, err
	case sum != layer.SHA256:
		return t, fmt.Errorf("the layer is damaged, its sha256 is %s; see `gitboot stage verify`", sum)
	}
	o, err := s.AddFile(ctx, io.NewSectionReader(f, 0, hashtree.Size(layer.Size)))
	if err != nil {
		return t, err
	}
	t = deployment.Tree{Root: root, Object: o}
	return t, remember(s, layer, t)
}

func remember(s *stage.Stage, layer deployment.Object, t deployment.Tree) error {
	if err := durable.MkdirAll(record.Trees(s.Dir()), 0o700); err != nil {
		return err
	}
	if err := record.Write(record.TreePath(record.Trees(s.Dir()), layer), record.Tree{Layer: layer, Tree: t}); err != nil {
		return err
	}
	return fault.Point("stage.tree.recorded")
}
