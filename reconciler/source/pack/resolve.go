package pack

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/pack/delta"
)

// maxHeld bounds the contents in memory, and maxHeldFar those in the scratch
// file, that are kept while differences from them are resolved. What was let
// go is put together again.
const (
	maxHeld    = 32 << 20
	maxHeldFar = 512 << 20
)

// A resolver finds the names of objects that are stored as differences, by
// going from each base to all that is made from it.
type resolver struct {
	ctx     context.Context
	f       *os.File
	scratch delta.Regions
	objects []object
	// children by base, as linked lists; -1 ends one.
	first, next []int32
	refs        []ref // by base
	tip         *Tip
	meter       *meter
	inflater    *inflater
	buf         *bufio.Reader
	names       *namer
	todo        []task
	held, far   int64
}

// A ref is a difference whose base is named.
type ref struct {
	base  plumbing.Hash
	child int32
}

func byBase(a ref, base plumbing.Hash) int { return bytes.Compare(a.base[:], base[:]) }

// A task is an object whose name is known, and the first of its children that
// is still to be resolved.
type task struct {
	object, child int32
	content       delta.Content // nil: let go
	depth         int
}

// resolve names all objects: commits and tags first, so that the tip is judged
// before anything else is put together.
func (x *resolver) resolve() error {
	x.first, x.next = fill(len(x.objects)), fill(len(x.objects))
	slices.SortFunc(x.refs, func(a, b ref) int { return cmp.Or(byBase(a, b.base), cmp.Compare(a.child, b.child)) })
	for i, o := range x.objects {
		if o.parent >= 0 {
			x.next[i], x.first[o.parent] = x.first[o.parent], int32(i)
		}
	}
	first := func(k plumbing.ObjectType) bool { return k == plumbing.CommitObject || k == plumbing.TagObject }
	if err := x.families(first); err != nil {
		return err
	}
	if err := x.tip.missed(); err != nil {
		return err
	}
	if err := x.families(func(k plumbing.ObjectType) bool { return !first(k) }); err != nil {
		return err
	}
	for i := range x.objects {
		if x.objects[i].name.IsZero() {
			return fmt.Errorf("%w: it lacks the base of a difference", errMalformed)
		}
	}
	return nil
}

func fill(n int) []int32 {
	s := make([]int32, n)
	for i := range s {
		s[i] = -1
	}
	return s
}

// families resolves what is made from all objects of some kinds.
func (x *resolver) families(of func(plumbing.ObjectType) bool) error {
	for i := range x.objects {
		o := &x.objects[i]
		if o.kind.IsDelta() || o.parent >= 0 || !of(o.kind) {
			continue // a difference, or one that is resolved already
		}
		if err := x.family(int32(i)); err != nil {
			return err
		}
	}
	return nil
}

// family resolves all that is made from one object, however far.
func (x *resolver) family(root int32) error {
	x.adopt(root)
	if x.first[root] < 0 {
		return nil
	}
	x.push(task{object: root, child: x.first[root]})
	for len(x.todo) > 0 {
		if err := x.ctx.Err(); err != nil {
			return err
		}
		if err := x.step(); err != nil {
			return err
		}
	}
	return nil
}

// step resolves one child of the last task.
func (x *resolver) step() error {
	t := &x.todo[len(x.todo)-1]
	if t.content == nil {
		c, err := x.again(t.object)
		if err != nil {
			return err
		}
		t.content = c
		x.count(c, 1)
	}
	child, depth := t.child, t.depth+1
	made, err := x.apply(child, *t)
	if err != nil {
		return err
	}
	if t.child = x.next[child]; t.child < 0 {
		x.letGo(t)
		x.todo = x.todo[:len(x.todo)-1]
	}
	x.adopt(child)
	if first := x.first[child]; first >= 0 {
		x.push(task{object: child, child: first, content: made, depth: depth})
	} else {
		x.scratch.Free(made)
	}
	return nil
}

// apply makes a child out of its base, and so learns its name.
func (x *resolver) apply(child int32, t task) (delta.Content, error) {
	if t.depth >= maxChain {
		return nil, fmt.Errorf("%w: more than %d differences follow one another", errMalformed, maxChain)
	}
	o := &x.objects[child]
	kind := x.objects[t.object].kind
	made, err := x.patched(child, t.content, kind)
	if err != nil {
		return nil, err
	}
	o.kind, o.parent, o.name = kind, t.object, x.names.name()
	if commit, ok := made.(delta.Near); ok {
		err = x.tip.meet(o.name, kind, commit)
	}
	return made, err
}

// adopt makes the differences that name an object as their base its children,
// unless they are those of an equal one.
func (x *resolver) adopt(i int32) {
	name := x.objects[i].name
	k, _ := slices.BinarySearchFunc(x.refs, name, byBase)
	for ; k < len(x.refs) && x.refs[k].base == name && x.objects[x.refs[k].child].parent < 0; k++ {
		child := x.refs[k].child
		x.objects[child].parent = i
		x.next[child], x.first[i] = x.first[i], child
	}
}

func (x *resolver) push(t task) {
	x.todo = append(x.todo, t)
	x.count(t.content, 1)
	for i := 0; (x.held > maxHeld || x.far > maxHeldFar) && i < len(x.todo)-1; i++ {
		x.letGo(&x.todo[i])
	}
}

func (x *resolver) letGo(t *task) {
	x.count(t.content, -1)
	x.scratch.Free(t.content)
	t.content = nil
}

func (x *resolver) count(c delta.Content, sign int64) {
	switch c := c.(type) {
	case delta.Near:
		x.held += sign * c.Size()
	case *delta.Region:
		x.far += sign * c.Size()
	}
}

// again puts an object together that is named already.
func (x *resolver) again(i int32) (delta.Content, error) {
	var chain []int32
	for ; x.objects[i].parent >= 0; i = x.objects[i].parent {
		chain = append(chain, i)
	}
	c, err := x.whole(i)
	for _, i := range slices.Backward(chain) {
		if err == nil {
			err = x.ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		base := c
		c, err = x.patched(i, base, x.objects[i].kind)
		x.scratch.Free(base)
	}
	return c, err
}

// open has x.buf begin at what an entry deflates.
func (x *resolver) open(i int32) error {
	if err := x.meter.add(openWork); err != nil {
		return err
	}
	x.buf.Reset(io.NewSectionReader(x.f, x.objects[i].at, 1<<62))
	_, err := readHead(x.buf)
	return err
}

// whole inflates an object that is no difference.
func (x *resolver) whole(i int32) (delta.Content, error) {
	size := x.objects[i].size
	if err := x.open(i); err != nil {
		return nil, err
	}
	if err := fitsPatched(x.objects[i].kind, size); err != nil {
		return nil, err // what is made from it is as large, or it is no use
	}
	if size <= delta.MaxNear {
		data, err := x.inflater.bytes(x.buf, size)
		return delta.Near(data), err
	}
	r, err := x.scratch.Take(size)
	if err != nil {
		return nil, err
	}
	return r, x.inflater.copy(x.scratch.Writer(r), x.buf, size)
}

// patched makes an object from its base; x.names names it.
func (x *resolver) patched(i int32, base delta.Content, kind plumbing.ObjectType) (delta.Content, error) {
	if err := x.open(i); err != nil {
		return nil, err
	}
	size := x.objects[i].size
	from, ok := base.(delta.Near)
	if !ok || size > delta.MaxNear {
		difference, err := x.inflater.stream(x.buf, size)
		if err != nil {
			return nil, err
		}
		return x.patchedFar(base, difference, kind)
	}
	difference, err := x.inflater.bytes(x.buf, size)
	if err != nil {
		return nil, err
	}
	if delta.Size(difference) > delta.MaxNear {
		return x.patchedFar(base, bytes.NewReader(difference), kind)
	}
	if err := cmp.Or(fitsPatched(kind, delta.Size(difference)), x.meter.add(delta.Size(difference))); err != nil {
		return nil, err
	}
	made, err := delta.Patch(from, difference)
	if err != nil {
		return nil, err
	}
	x.names.begin(kind, int64(len(made)))
	x.names.Write(made)
	return delta.Near(made), nil
}

func (x *resolver) patchedFar(base delta.Content, difference io.Reader, kind plumbing.ObjectType) (delta.Content, error) {
	p, err := delta.NewPatcher(base, bufio.NewReaderSize(difference, 64<<10), func() error { return x.meter.add(seekWork) })
	if err != nil {
		return nil, err
	}
	if err := cmp.Or(fitsPatched(kind, p.Size()), x.meter.add(p.Size())); err != nil {
		return nil, err
	}
	x.names.begin(kind, p.Size())
	if p.Size() <= delta.MaxNear {
		made := bytes.NewBuffer(make([]byte, 0, p.Size()))
		err := p.WriteResult(io.MultiWriter(made, x.names))
		return delta.Near(made.Bytes()), err
	}
	r, err := x.scratch.Take(p.Size())
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(io.MultiWriter(x.scratch.Writer(r), x.names), 256<<10)
	if err := p.WriteResult(w); err != nil {
		return nil, err
	}
	return r, w.Flush()
}
