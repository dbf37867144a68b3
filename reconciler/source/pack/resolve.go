package pack

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxHeld bounds the contents that are kept while differences from them are
// resolved. What was let go is put together again.
const maxHeld = 32 << 20

// A resolver finds the names of objects that are stored as differences, by
// going from each base to all that is made from it.
type resolver struct {
	ctx     context.Context
	f       *os.File
	objects []object
	// children by base, as linked lists; -1 ends one.
	first, next []int32
	refs        map[plumbing.Hash][]int32
	inflater    *inflater
	buf         *bufio.Reader
	names       *namer
	todo        []task
	held        int
}

// A task is an object whose name is known, and the first of its children that
// is still to be resolved.
type task struct {
	object, child int32
	content       []byte // nil: let go
	depth         int
}

func resolve(ctx context.Context, f *os.File, objects []object, refs map[plumbing.Hash][]int32) error {
	x := &resolver{ctx: ctx, f: f, objects: objects, refs: refs, inflater: newInflater(),
		buf: newBuffer(), names: newNamer(),
		first: fill(len(objects)), next: fill(len(objects))}
	for i, o := range objects {
		if o.parent >= 0 {
			x.next[i], x.first[o.parent] = x.first[o.parent], int32(i)
		}
	}
	for i := range objects {
		if objects[i].kind.IsDelta() || objects[i].parent >= 0 {
			continue // a difference, or one that is resolved already
		}
		if err := x.family(int32(i)); err != nil {
			return err
		}
	}
	for i := range objects {
		if objects[i].name.IsZero() {
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
		t := x.todo[len(x.todo)-1]
		base, err := x.content(t)
		if err != nil {
			return err
		}
		child := t.child
		x.todo[len(x.todo)-1].child = x.next[child]
		if x.next[child] < 0 {
			x.pop()
		} else if t.content == nil {
			x.todo[len(x.todo)-1].content = base
			x.held += len(base)
		}
		if err := x.apply(child, t, base); err != nil {
			return err
		}
	}
	return nil
}

// apply makes a child out of its base, and so learns its name.
func (x *resolver) apply(child int32, t task, base []byte) error {
	if t.depth >= maxChain {
		return fmt.Errorf("%w: more than %d differences follow one another", errMalformed, maxChain)
	}
	o := &x.objects[child]
	content, err := x.patched(child, base)
	if err != nil {
		return err
	}
	o.kind, o.parent = x.objects[t.object].kind, t.object
	x.names.begin(o.kind, int64(len(content)))
	x.names.Write(content)
	o.name = x.names.name()
	x.adopt(child)
	if first := x.first[child]; first >= 0 {
		x.push(task{object: child, child: first, content: content, depth: t.depth + 1})
	}
	return nil
}

// adopt makes the differences that name an object as their base its children.
func (x *resolver) adopt(i int32) {
	name := x.objects[i].name
	for _, child := range x.refs[name] {
		x.next[child], x.first[i] = x.first[i], child
	}
	delete(x.refs, name)
}

func (x *resolver) push(t task) {
	x.todo = append(x.todo, t)
	x.held += len(t.content)
	for i := 0; x.held > maxHeld && i < len(x.todo)-1; i++ {
		x.held -= len(x.todo[i].content)
		x.todo[i].content = nil
	}
}

func (x *resolver) pop() {
	x.held -= len(x.todo[len(x.todo)-1].content)
	x.todo[len(x.todo)-1].content = nil
	x.todo = x.todo[:len(x.todo)-1]
}

// content gives a task's content, put together anew if it was let go.
func (x *resolver) content(t task) ([]byte, error) {
	if t.content != nil {
		return t.content, nil
	}
	var chain []int32
	i := t.object
	for ; x.objects[i].parent >= 0; i = x.objects[i].parent {
		chain = append(chain, i)
	}
	content, err := x.inflate(i)
	for k := len(chain) - 1; k >= 0 && err == nil; k-- {
		if err = x.ctx.Err(); err == nil {
			content, err = x.patched(chain[k], content)
		}
	}
	return content, err
}

func (x *resolver) patched(i int32, base []byte) ([]byte, error) {
	delta, err := x.inflate(i)
	if err != nil {
		return nil, err
	}
	return patch(base, delta)
}

func (x *resolver) inflate(i int32) ([]byte, error) {
	o := x.objects[i]
	x.buf.Reset(io.NewSectionReader(x.f, o.at, 1<<62))
	if _, err := readHead(x.buf); err != nil {
		return nil, err
	}
	return x.inflater.bytes(x.buf, o.size)
}

func patch(base, delta []byte) ([]byte, error) {
	// a few bytes of a difference can stand for many: its result's size is the
	// second of two numbers that it begins with
	_, n := binary.Uvarint(delta)
	size, _ := binary.Uvarint(delta[max(n, 0):])
	if size > maxInMemory {
		return nil, tooLarge(int64(size))
	}
	content, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, fmt.Errorf("%w: a difference does not fit its base: %w", errMalformed, err)
	}
	return content, nil
}
