package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// A localRemote is a repo in a folder of this machine. It is read without a
// git program: that is faster, needs none installed, and cannot run what a
// repo's configuration names.
type localRemote struct {
	url, dir string
	safe     bool // whoever owns it
}

type localSession struct {
	*localRemote
	ctx  context.Context // the session's
	repo *gitdir.Repo
}

func (r *localRemote) open(ctx context.Context, _ *transport.Silence) (session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, err := gitdir.Find(r.dir)
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Path: true, Err: err}
	}
	return r.read(ctx, at)
}

func (r *localRemote) read(ctx context.Context, at gitdir.Dir) (*localSession, error) {
	if err := r.mayRead(at.Paths(r.dir)...); err != nil {
		return nil, err
	}
	repo, err := at.Open(ctx)
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Path: true, Err: err}
	}
	return &localSession{localRemote: r, ctx: ctx, repo: repo}, nil
}

func (s *localSession) Close() error { return s.repo.Close() }

// choose looks at the refs that may be meant, and at all only if none is there,
// as there may be very many.
func (s *localSession) choose(want ref.Want) (ref.Chosen, error) {
	refs, err := s.resolved(want.Names())
	if err == nil && len(refs.Names) == 0 {
		refs, err = s.all()
	}
	if err != nil {
		return ref.Chosen{}, &UnreachableError{URL: s.url, Path: true, Err: err}
	}
	chosen, err := want.Choose(s.url, refs)
	if err == nil && strings.HasPrefix(chosen.Name, "refs/tags/") {
		chosen.Commit, err = s.peeled(chosen.Object)
	}
	return chosen, err
}

func (s *localSession) named(name string) (plumbing.Hash, error) {
	refs, err := s.resolved([]string{name})
	return refs.Names[name], err
}

func (s *localSession) resolved(names []string) (ref.Refs, error) {
	refs := ref.Refs{Names: map[string]plumbing.Hash{}}
	for _, name := range names {
		found, err := storer.ResolveReference(s.repo, plumbing.ReferenceName(name))
		switch {
		case err == nil:
			refs.Names[name] = found.Hash()
		case !errors.Is(err, plumbing.ErrReferenceNotFound):
			return refs, err
		}
	}
	return refs, nil
}

func (s *localSession) all() (ref.Refs, error) {
	refs := ref.Refs{Names: map[string]plumbing.Hash{}}
	all, err := s.repo.IterReferences()
	if err != nil {
		return refs, err
	}
	err = all.ForEach(func(r *plumbing.Reference) error {
		if r.Type() == plumbing.HashReference {
			refs.Names[r.Name().String()] = r.Hash()
		}
		return nil
	})
	return refs, err
}

// tagged reads each tag that patterns mean. One that is not in git's form may be of
// the commit, for all that is known.
func (s *localSession) tagged(of plumbing.Hash, patterns []string) ([]ref.Chosen, error) {
	refs, err := s.all()
	if err != nil {
		return nil, &UnreachableError{URL: s.url, Path: true, Err: err}
	}
	maps.DeleteFunc(refs.Names, func(name string, _ plumbing.Hash) bool { return !ref.IsTag(name, patterns) })
	if len(refs.Names) == 0 {
		return nil, nil
	}
	from, err := pack.Open(s.ctx, s.repo.Objects)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	refs.Peeled = map[string]plumbing.Hash{}
	for name, object := range refs.Names {
		if refs.Peeled[name], err = peeled(from, object); err != nil {
			refs.Peeled[name] = of
		}
	}
	return refs.Tagged(of, patterns), nil
}

// peeled is the commit that an annotated tag is of; of what is none, itself.
func (s *localSession) peeled(object plumbing.Hash) (plumbing.Hash, error) {
	from, err := pack.Open(s.ctx, s.repo.Objects)
	if err != nil {
		return object, err
	}
	defer from.Close()
	return peeled(from, object)
}

func peeled(from *pack.Store, object plumbing.Hash) (plumbing.Hash, error) {
	raw, err := from.Read(object, plumbing.TagObject)
	if err != nil {
		return object, nil
	}
	tag, err := commit.ParseTag(raw)
	if err != nil {
		return object, &FormError{Hash: object.String(), Tag: true, Reason: err.Error()}
	}
	return tag.Commit, nil
}

func (s *localSession) Shallow() ([]plumbing.Hash, error) { return s.repo.Shallow() }

func (s *localSession) fetch(ctx context.Context, what ref.Chosen, into *clone.Intake, whole bool) error {
	shallow, err := s.Shallow()
	if err != nil {
		return err
	}
	from, err := pack.Open(ctx, s.repo.Objects)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := s.mayRead(from.Folders()...); err != nil {
		return err
	}
	if err := judgeFirst(from, into.Tip); err != nil {
		return s.explain(err)
	}
	return s.explain(into.AddMissing(ctx, from, rootOf(what), whole, func(h plumbing.Hash) bool { return slices.Contains(shallow, h) }))
}

// rootOf is a commit with the annotated tag that was followed to it, if one was.
func rootOf(what ref.Chosen) clone.Root {
	root := clone.Root{Commit: what.Commit}
	if what.Tag() {
		root.Tag = what.Object
	}
	return root
}

// judgeFirst judges the tip before anything that it names is read.
func judgeFirst(from *pack.Store, tip *pack.Tip) error {
	content, err := from.Read(tip.Name, tip.Kind())
	if err != nil {
		return fmt.Errorf("reading %s: %w", tip.Name, err)
	}
	return tip.Judge(content)
}

func (s *localSession) explain(err error) error {
	if s.repo.Partial && errors.Is(err, plumbing.ErrObjectNotFound) {
		return &PartialError{Dir: s.dir, Err: err}
	}
	return err
}

// mayRead refuses what belongs to other users, unless the repo was named as safe.
func (r *localRemote) mayRead(paths ...string) error {
	if r.safe {
		return nil
	}
	if err := gitdir.CheckOwners(paths...); err != nil {
		return &OwnerError{Dir: r.dir, Err: err}
	}
	return nil
}

// isSafe reports whether a folder is one of those named, by whatever path.
func isSafe(dir string, named []string) bool {
	return slices.ContainsFunc(named, func(name string) bool {
		at, err := transport.ParseAddress(name)
		return err == nil && at.By == transport.ByPath && (at.Path == dir || realPath(at.Path) == realPath(dir))
	})
}

func realPath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
