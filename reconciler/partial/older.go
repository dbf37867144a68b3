package partial

import (
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/stage"
)

// A place is where a chunk lies on the stage: in which of the older objects, in which
// file of it, and from which byte on.
type place struct {
	object int
	path   string
	at     int64
}

// An older reads files of older objects. It remembers where it is: chunks are mostly
// asked for in the order in which they lie there.
type older struct {
	stage   *stage.Stage
	objects []deployment.Object
	open    map[int]*opened

	// rest is what is left of the file that was read last, from next on.
	next place
	rest io.Reader
}

// An opened object has the folder at hand that was looked into last.
type opened struct {
	tree   *rootfs.Tree
	folder string
	names  *rootfs.Index
}

func newOlder(st *stage.Stage, objects []deployment.Object) *older {
	return &older{stage: st, objects: objects, open: map[int]*opened{}}
}

func (o *older) close() error {
	var errs []error
	for _, one := range o.open {
		errs = append(errs, one.tree.Close())
	}
	return errors.Join(errs...)
}

// copy writes so many bytes of what lies at a place.
func (o *older) copy(to io.Writer, from place, size int64) error {
	if o.rest == nil || o.next != from {
		var err error
		if o.rest, err = o.find(from); err != nil {
			return fmt.Errorf("%s in object %s: %w", from.path, o.objects[from.object].Path(), err)
		}
	}
	_, err := io.CopyN(to, o.rest, size)
	o.next = place{from.object, from.path, from.at + size}
	return err
}

// find opens a file at a place.
func (o *older) find(from place) (io.Reader, error) {
	in := o.open[from.object]
	if in == nil {
		tree, err := rootfs.OpenTree([]string{o.stage.ObjectPath(o.objects[from.object])})
		if err != nil {
			return nil, err
		}
		in = &opened{tree: tree}
		o.open[from.object] = in
	}
	folder, name := path.Split(path.Clean("/" + from.path))
	if in.names == nil || in.folder != folder {
		dir, err := in.tree.Lookup(folder)
		if err != nil {
			return nil, err
		}
		if in.names, err = in.tree.Index(dir); err != nil {
			return nil, err
		}
		in.folder = folder
	}
	node, err := in.names.Child(name)
	if err != nil {
		return nil, err
	}
	if node == nil {
		return nil, errors.New("it is not there")
	}
	return in.tree.OpenAt(node, from.at)
}
