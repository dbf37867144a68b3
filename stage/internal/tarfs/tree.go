package tarfs

import (
	"errors"
	"fmt"
	"maps"
	"strings"
)

// maxFollow is how many symbolic links lead to a place at most, as in Linux.
const maxFollow = 40

// A node is a name. Without an inode it is only a whiteout.
type node struct {
	name   string
	parent *node
	depth  int // how many folders above
	ino    *inode
	// white: a whiteout hides what lower layers have below this name; device:
	// it came as overlayfs's own form, which hard links may share.
	white, device bool
}

// An inode is what a name stands for. Several names may share one.
type inode struct {
	meta // unknown: a directory that has no entry, or a waiting link
	// home is the name below which the inode is in the output.
	home *node
	// number is the place of a file with content among such files.
	number int32
	// content: a file that is not empty.
	content bool
	// opaque: what lower layers have in this directory is hidden.
	opaque bool
}

// A link waits for its target to appear; alias is the target when it has.
type link struct {
	target string
	alias  *inode
}

type tree struct {
	root   *node
	memory int
	// folder is how many names a folder may have; over says what was too much.
	folder int
	over   error
	// waiting: some hard links came before their targets.
	waiting bool
	// borrowed are files of lower layers that hard links lead to, by path.
	borrowed map[string]*inode
}

func newTree(most Bounds) tree { return tree{root: &node{ino: newDir()}, folder: most.folder()} }

func newDir() *inode { return &inode{meta: meta{rare: &rare{children: new(folder)}}} }

func (n *node) dir() bool { return n.ino != nil && n.ino.children() != nil }

func (i *inode) children() *folder { return i.more().children }

// link is of a hard link that came before its target, nil of all else.
func (i *inode) link() *link { return i.more().link }

// set gives an inode the attributes of an entry. What is in a directory stays.
func (i *inode) set(m *meta) {
	if children := i.children(); children != nil {
		m.own().children = children
	}
	i.meta = *m
}

func (n *node) path() string {
	if n.parent == nil {
		return ""
	}
	return join(n.parent.path(), n.name)
}

// find walks to the name path below the root, following symbolic links among
// its parents, and returns the directory and the last part of the name. With
// make, missing directories are made.
func (t *tree) find(path string, make bool) (*node, string, error) {
	dir, base := split(path)
	at, followed := t.root, 0
	rest := strings.Split(dir, "/")
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..": // only from a symbolic link's target
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.ino.children().child(part)
		switch {
		case next == nil || next.ino == nil:
			if !make {
				return nil, "", missingAt(at, strings.Join(append([]string{part}, append(rest, base)...), "/"))
			}
			if next == nil {
				next = t.attach(at, part)
			}
			next.ino = newDir()
		case next.ino.children() == nil && next.ino.symlink() != "":
			if followed++; followed > maxFollow {
				return nil, "", errors.New("too many symbolic links among its parents")
			}
			target := next.ino.symlink()
			if strings.HasPrefix(target, "/") {
				at = t.root
			}
			rest = append(strings.Split(target, "/"), rest...)
			continue
		case next.ino.children() == nil:
			return nil, "", fmt.Errorf("its parent %q is not a directory", clip(next.path()))
		}
		at = next
	}
	if followed > 0 && len(at.path())+1+len(base) > maxPath {
		return nil, "", fmt.Errorf("the name leads to one longer than %d bytes", maxPath)
	}
	return at, base, nil
}

func (i *inode) symlink() string {
	return i.more().linkname
}

func (t *tree) attach(dir *node, name string) *node {
	name = strings.Clone(name)
	n := &node{name: name, parent: dir, depth: dir.depth + 1}
	children := dir.ino.children()
	children.put(n)
	if len(children.nodes()) > t.folder {
		t.over = fmt.Errorf("its folder has more than %d names; if that is meant, set layer_entries in agent.toml to twenty times as many", t.folder)
	}
	if n.depth > maxDepth {
		t.over = fmt.Errorf("it lies more than %d folders deep", maxDepth)
	}
	t.memory += len(name) + 200
	return n
}

// charge refuses a layer whose names and attributes need too much memory.
func (t *tree) charge(m *meta) error {
	if m != nil {
		t.memory += 100 + len(m.more().linkname)
		for key, value := range m.more().xattrs {
			t.memory += 100 + len(key) + len(value)
		}
	}
	if t.memory > maxMemory {
		return errors.New("the layer's names and attributes take too much memory")
	}
	return t.over
}

// add gives the entry its place, as unpacking it would.
func (rw *Rewriter) add(e *entry) error {
	t := &rw.tree
	if err := t.charge(e.meta); err != nil {
		return err
	}
	if e.name == "" {
		if e.kind == kindOpaque {
			return t.root.openOpaque()
		}
		t.root.ino.merge(e)
		return nil
	}
	dir, base, err := t.find(e.name, true)
	if err != nil {
		return err
	}
	n := dir.ino.children().child(base)
	if n == nil {
		n = t.attach(dir, base)
	}
	switch e.kind {
	case kindWhiteout:
		n.white, n.device = true, e.device
	case kindOpaque:
		return n.openOpaque()
	case kindDir:
		rw.addDir(n, e)
	case kindLink:
		return rw.addLink(n, e)
	case kindFile, kindOther:
		rw.replace(n)
		n.ino = &inode{meta: *e.meta}
		if e.streamed() {
			n.ino.content, n.ino.home, n.ino.number = true, n, rw.files
			rw.files++
			e.name = n.path()
		}
	}
	return nil
}

// openOpaque notes an opaque marker in the directory n.
func (n *node) openOpaque() error {
	if n.ino == nil {
		n.ino = newDir()
	}
	if !n.dir() {
		return errors.New("an opaque marker in what is not a directory")
	}
	n.ino.opaque = true
	return nil
}

func (rw *Rewriter) addDir(n *node, e *entry) {
	if !n.dir() {
		// What was a file hid a lower layer's directory of this name; the
		// directory that takes its place must go on hiding it.
		hides := n.ino != nil
		rw.replace(n)
		n.ino = newDir()
		n.ino.opaque = hides
	}
	n.ino.merge(e)
}

// merge gives a directory the attributes of an entry. Extended attributes of
// an earlier entry stay unless they are set again.
func (i *inode) merge(e *entry) {
	if old := i.more().xattrs; old != nil {
		maps.Copy(old, e.meta.more().xattrs)
		e.meta.own().xattrs = old
	}
	i.set(e.meta)
	i.opaque = i.opaque || e.opaque
}

func (rw *Rewriter) addLink(n *node, e *entry) error {
	t := &rw.tree
	var target *node
	var gone *missing
	dir, base, err := t.find(e.target, false)
	switch {
	case err == nil:
		target = dir.ino.children().child(base)
	case !errors.As(err, &gone):
		return fmt.Errorf("hard link to %q: %w", clip(e.target), err)
	}
	switch {
	case e.target == "" || target != nil && target.dir():
		return fmt.Errorf("hard link to the directory %q", clip(e.target))
	case target == n && n.ino != nil:
		return nil
	case target != nil && target.ino != nil:
		ino := target.ino
		rw.replace(n)
		n.ino = ino
	case target != nil && target.device:
		n.white, n.device = true, true
	default:
		rw.replace(n)
		n.ino = &inode{meta: meta{rare: &rare{link: &link{target: strings.Clone(e.target)}}}}
		t.waiting = true
	}
	return nil
}

// replace takes away what n stands for. If content that was written goes, or
// would have to go by another name, the output is spoiled.
func (rw *Rewriter) replace(n *node) {
	ino := n.ino
	n.ino = nil
	if ino == nil {
		return
	}
	if ino.home == n {
		rw.spoiled = true
	}
	for _, child := range ino.children().nodes() {
		rw.replace(child)
	}
}

// settle finds the targets of the links that came before them.
func (t *tree) settle() error {
	if !t.waiting {
		return nil
	}
	return t.root.each(func(n *node) error {
		if n.ino == nil || n.ino.link() == nil || n.ino.link().alias != nil {
			return nil
		}
		alias, err := t.follow(n.ino)
		var gone *missing
		if errors.As(err, &gone) {
			alias, err = t.borrow(gone)
		}
		if err != nil {
			return fmt.Errorf("entry %q: hard link to %q: %w", clip(n.path()), clip(n.ino.link().target), err)
		}
		n.ino.link().alias = alias
		return nil
	})
}

// each calls do for every name below n, depth first in the order of names.
func (n *node) each(do func(*node) error) error {
	for _, child := range n.ino.children().nodes() {
		if err := do(child); err != nil {
			return err
		}
		if child.dir() {
			if err := child.each(do); err != nil {
				return err
			}
		}
	}
	return nil
}

// real returns the inode that n stands for in the end.
func (n *node) real() *inode {
	if n.ino != nil {
		if l := n.ino.link(); l != nil && l.alias != nil {
			return l.alias
		}
	}
	return n.ino
}

func (t *tree) follow(ino *inode) (*inode, error) {
	seen := map[*inode]bool{}
	for ino.link() != nil {
		if seen[ino] {
			return nil, errors.New("the links go round in a circle")
		}
		seen[ino] = true
		dir, base, err := t.find(ino.link().target, false)
		if err != nil {
			return nil, err
		}
		n := dir.ino.children().child(base)
		switch {
		case n == nil || n.ino == nil:
			return nil, missingAt(dir, base)
		case n.dir():
			return nil, errors.New("the target is a directory")
		}
		ino = n.ino
	}
	return ino, nil
}
