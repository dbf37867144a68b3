package source

import (
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
	w := &workTree{ctx: ctx, top: top, at: &handle{}, index: idx, differ: map[string]bool{}, tracked: map[string]bool{}}
	if err := w.staged(s.clone, commit); err != nil {
		return 0, err
	}
	if err := w.changed(); err != nil {
		return 0, err
	}
	err = w.added()
	return len(w.differ), err
}

// A workTree is compared with its index, and the index with a commit.
type workTree struct {
	ctx    context.Context
	top    *os.Root // what the index names leads nowhere else
	at     *handle  // of the folder of the file which was looked at last
	index  *index.Index
	differ map[string]bool
	// tracked are the files in the index, and their folders.
	tracked map[string]bool
	ignored gitignore.Matcher
}

// A handle is of a folder, opened once for all files in it that follow each other in the index.
type handle struct {
	*os.Root // nil if it cannot be opened
	path     string
}

// in opens a folder of the work tree, nil if that cannot be.
func (w *workTree) in(dir string) *os.Root {
	if dir != w.at.path {
		w.leave()
		w.at.path = dir
		w.at.Root, _ = w.top.OpenRoot(dir) // what is in one that is gone is gone
	}
	return w.at.Root
}

func (w *workTree) leave() {
	if w.at.Root != nil {
		_ = w.at.Close()
	}
	w.at.Root = nil
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

// changed notes what lies there otherwise than the index says.
func (w *workTree) changed() error {
	defer w.leave()
	for _, e := range w.index.Entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		for name := e.Name; name != "." && !w.tracked[name]; name = filepath.Dir(name) {
			w.tracked[name] = true
		}
		if e.SkipWorktree || e.Mode == filemode.Submodule {
			continue
		}
		same, err := w.same(e)
		if err != nil {
			return err
		}
		if !same {
			w.differ[e.Name] = true
		}
	}
	return nil
}

func (w *workTree) same(e *index.Entry) (bool, error) {
	dir, name := w.in(filepath.Dir(e.Name)), filepath.Base(e.Name)
	if dir == nil {
		return false, nil
	}
	info, err := dir.Lstat(name)
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
		to, err := dir.Readlink(name)
		return plumbing.ComputeHash(plumbing.BlobObject, []byte(to)) == e.Hash, err
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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

// added notes files that are not in the index, but for ignored ones.
func (w *workTree) added() error {
	return fs.WalkDir(w.top.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		switch {
		case w.tracked[name] && !d.IsDir():
			return w.ctx.Err()
		case !fs.ValidPath(name): // not UTF-8
			w.differ[name] = true
			return skip(d)
		case d.Name() == gitdir.Name:
			return skip(d)
		case w.tracked[name]:
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
	})
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
