package source

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// maxLooking bounds how long edits are looked for, which are told of and no more.
const maxLooking = 10 * time.Second

// Uncommitted counts the files in a local repo's work tree that are not as
// they are in a commit of the clone: changed, new or gone. There are none
// where the repo has no work tree, or another commit is checked out. As in
// git, a file is read only if its size and times are not those that git noted.
func (s *Source) Uncommitted(ctx context.Context, hash string) (int, error) {
	r, ok := s.remote.(*localRemote)
	if !ok {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, maxLooking)
	defer cancel()
	at, err := gitdir.Find(r.dir)
	if err != nil || at.Own == r.dir {
		return 0, err
	}
	sess, err := r.read(ctx, at)
	if err != nil {
		return 0, err
	}
	defer sess.Close()
	if head, err := sess.choose(ref.Want{}); err != nil || head.Commit.String() != hash {
		return 0, nil
	}
	commit, err := s.commit(hash)
	if err != nil {
		return 0, err
	}
	idx, err := sess.repo.Index()
	if err != nil {
		return 0, fmt.Errorf("reading the index of %s: %w", r.dir, err)
	}
	top, err := os.OpenRoot(r.dir)
	if err != nil {
		return 0, err
	}
	defer top.Close()
	w := &workTree{ctx: ctx, top: top, index: idx, differ: map[string]bool{}}
	if err := w.staged(s.clone, commit); err != nil {
		return 0, err
	}
	err = w.compare()
	return len(w.differ), err
}

// A workTree is compared with its index, and the index with a commit.
type workTree struct {
	ctx    context.Context
	top    *os.Root // what the index names leads nowhere else
	index  *index.Index
	differ map[string]bool
	// tracked are the files in the index that were not seen yet, and their folders, of
	// which there is nothing to know.
	tracked map[string]*index.Entry
	ignored gitignore.Matcher
}

// staged notes what the index has otherwise than the commit. Git keeps the
// hash of the tree that the index stands for, while it is known.
func (w *workTree) staged(c *clone.Clone, of *commit.Commit) error {
	if w.index.Cache != nil {
		for _, e := range w.index.Cache.Entries {
			if e.Path == "" && e.Entries >= 0 && e.Hash == of.Tree {
				return nil
			}
		}
	}
	committed := map[string]object.TreeEntry{}
	if err := w.collect(c, of.Tree, "", committed); err != nil {
		return err
	}
	for _, e := range w.index.Entries {
		was, ok := committed[e.Name]
		if !ok || was.Hash != e.Hash || was.Mode != e.Mode {
			w.differ[e.Name] = true
		}
		delete(committed, e.Name)
	}
	for name := range committed {
		w.differ[name] = true
	}
	return nil
}

// collect lists the files of a tree and of those below it, by their paths.
func (w *workTree) collect(c *clone.Clone, tree plumbing.Hash, dir string, files map[string]object.TreeEntry) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	read, err := c.Tree(tree)
	if err != nil {
		return err
	}
	for _, e := range read.Entries {
		name := path.Join(dir, e.Name)
		if e.Mode != filemode.Dir {
			files[name] = e
		} else if err := w.collect(c, e.Hash, name, files); err != nil {
			return err
		}
	}
	return nil
}

// compare notes what lies there otherwise than the index says, or is not in it, and what
// is gone. Each folder is read once, with what is known of its files.
func (w *workTree) compare() error {
	w.tracked = make(map[string]*index.Entry, len(w.index.Entries))
	for _, e := range w.index.Entries {
		w.tracked[e.Name] = e
		for dir := path.Dir(e.Name); dir != "."; dir = path.Dir(dir) {
			if _, known := w.tracked[dir]; known {
				break
			}
			w.tracked[dir] = nil
		}
	}
	if err := fs.WalkDir(w.top.FS(), ".", w.look); err != nil {
		return err
	}
	for name, e := range w.tracked {
		if e != nil && !unread(e) {
			w.differ[name] = true
		}
	}
	return nil
}

// unread reports whether what lies in the place of an entry is not compared, there or not.
func unread(e *index.Entry) bool { return e.SkipWorktree || e.Mode == filemode.Submodule }

// look is told what lies in the work tree.
func (w *workTree) look(name string, d fs.DirEntry, err error) error {
	if err != nil || name == "." {
		return err
	}
	e, tracked := w.tracked[name]
	switch {
	case e != nil && unread(e):
		return skip(d)
	case e != nil:
		delete(w.tracked, name)
		same, err := w.same(e, d)
		if err == nil && !same {
			w.differ[name] = true
		}
		return cmp.Or(err, w.ctx.Err())
	case !fs.ValidPath(name): // not UTF-8
		w.differ[name] = true
		return skip(d)
	case d.Name() == gitdir.Name:
		return skip(d)
	case tracked && d.IsDir():
		return w.ctx.Err()
	case w.ignores(name, d.IsDir()):
		return skip(d)
	case d.IsDir():
		if _, err := w.top.Lstat(filepath.Join(name, gitdir.Name)); err == nil {
			return fs.SkipDir // another repo
		}
		return w.ctx.Err()
	}
	w.differ[name] = true
	return nil
}

func (w *workTree) same(e *index.Entry, d fs.DirEntry) (bool, error) {
	info, err := d.Info()
	if err != nil {
		return false, nil
	}
	mode, err := filemode.NewFromOSFileMode(info.Mode())
	if err != nil || mode != e.Mode || uint32(info.Size()) != e.Size {
		return false, nil
	}
	// what was written in the very moment of the index may have changed since
	if info.ModTime().Equal(e.ModifiedAt) && info.ModTime().Before(w.index.ModTime) {
		return true, nil
	}
	if mode == filemode.Symlink {
		to, err := w.top.Readlink(e.Name)
		return plumbing.ComputeHash(plumbing.BlobObject, []byte(to)) == e.Hash, err
	}
	f, err := w.top.OpenFile(e.Name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !now.Mode().IsRegular() {
		return false, err
	}
	sum := plumbing.NewHasher(plumbing.BlobObject, info.Size())
	_, err = io.Copy(sum, ctxio.Reader(w.ctx, f))
	return sum.Sum() == e.Hash, err
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// ignores reads the patterns when the first file is not in the index.
func (w *workTree) ignores(name string, dir bool) bool {
	if w.ignored == nil {
		patterns, err := gitignore.ReadPatterns(gitdir.Files(w.ctx, w.top.Name()), nil)
		if err != nil {
			patterns = nil // then more differs than git would say
		}
		w.ignored = gitignore.NewMatcher(patterns)
	}
	return w.ignored.Match(strings.Split(name, string(filepath.Separator)), dir)
}
