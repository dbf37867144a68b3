package source

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/pack"
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
	return &localSession{localRemote: r, repo: repo}, nil
}

func (s *localSession) Close() error { return s.repo.Close() }

func (s *localSession) Tip(branch string) (plumbing.Hash, error) {
	name := plumbing.HEAD
	if branch != "" {
		name = plumbing.NewBranchReferenceName(branch)
	}
	ref, err := storer.ResolveReference(s.repo, name)
	if err == nil {
		return ref.Hash(), nil
	}
	if !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return plumbing.ZeroHash, &UnreachableError{URL: s.url, Path: true, Err: err}
	}
	refs, err := s.refs()
	if err != nil {
		return plumbing.ZeroHash, &UnreachableError{URL: s.url, Path: true, Err: err}
	}
	return transport.Pick(s.url, branch, nil, refs)
}

func (s *localSession) refs() (map[string]plumbing.Hash, error) {
	all, err := s.repo.IterReferences()
	if err != nil {
		return nil, err
	}
	refs := map[string]plumbing.Hash{}
	err = all.ForEach(func(r *plumbing.Reference) error {
		if r.Type() == plumbing.HashReference {
			refs[r.Name().String()] = r.Hash()
		}
		return nil
	})
	return refs, err
}

func (s *localSession) Shallow() ([]plumbing.Hash, error) { return s.repo.Shallow() }

func (s *localSession) fetch(ctx context.Context, want plumbing.Hash, into *clone.Intake, whole bool) error {
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
	return s.explain(into.AddMissing(ctx, from, want, whole, func(h plumbing.Hash) bool { return slices.Contains(shallow, h) }))
}

// judgeFirst judges the tip before anything that it names is read.
func judgeFirst(from *pack.Store, tip *pack.Tip) error {
	content, err := from.Read(tip.Name, plumbing.CommitObject)
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
