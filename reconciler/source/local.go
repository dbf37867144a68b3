package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A localRemote is a repo in a folder of this machine. It is read without a
// git program: that is faster, needs none installed, and cannot run what a
// repo's configuration names.
type localRemote struct{ url, dir string }

type localSession struct {
	url, dir, objects string
	st                *filesystem.Storage
	partial           bool // what it lacks, another repo has
}

func (r *localRemote) open(ctx context.Context, _ *silence) (session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, err := findGitDir(r.dir)
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Path: true, Err: err}
	}
	s, err := at.open()
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Path: true, Err: err}
	}
	s.url, s.dir = r.url, r.dir
	return s, nil
}

func (s *localSession) Close() error { return s.st.Close() }

func (s *localSession) tip(branch string) (plumbing.Hash, error) {
	name := plumbing.HEAD
	if branch != "" {
		name = plumbing.NewBranchReferenceName(branch)
	}
	ref, err := storer.ResolveReference(s.st, name)
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
	return pick(s.url, branch, nil, refs)
}

func (s *localSession) refs() (map[string]plumbing.Hash, error) {
	all, err := s.st.IterReferences()
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

func (s *localSession) shallow() ([]plumbing.Hash, error) { return s.st.Shallow() }

func (s *localSession) fetch(ctx context.Context, want plumbing.Hash, into *intake, whole bool) error {
	shallow, err := s.shallow()
	if err != nil {
		return err
	}
	from, err := pack.Open(ctx, s.objects)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := judgeFirst(from, into.tip); err != nil {
		return s.explain(err)
	}
	return s.explain(into.addMissing(ctx, from, want, whole, func(h plumbing.Hash) bool { return slices.Contains(shallow, h) }))
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
	if s.partial && errors.Is(err, plumbing.ErrObjectNotFound) {
		return &PartialError{Dir: s.dir, Err: err}
	}
	return err
}

// A gitDir is where git keeps a repo: own is a work tree's part of it (HEAD,
// index), common what all work trees share.
type gitDir struct{ own, common string }

// findGitDir finds that of a bare repo, a work tree, or a linked work tree.
func findGitDir(dir string) (gitDir, error) {
	if _, err := os.Stat(dir); err != nil {
		return gitDir{}, err
	}
	own, err := followGitLink(dir)
	if err != nil {
		return gitDir{}, err
	}
	to, err := os.ReadFile(filepath.Join(own, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return gitDir{own, own}, nil
	}
	return gitDir{own, joined(own, strings.TrimSpace(string(to)))}, err
}

func followGitLink(dir string) (string, error) {
	dotGit := filepath.Join(dir, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case err == nil && info.IsDir():
		return dotGit, nil
	case err == nil:
		link, err := os.ReadFile(dotGit)
		if err != nil {
			return "", err
		}
		to, ok := strings.CutPrefix(string(link), "gitdir:")
		if !ok {
			return "", fmt.Errorf("%s is neither a folder nor a link to one", dotGit)
		}
		return joined(dir, strings.TrimSpace(to)), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	for _, name := range []string{"HEAD", "objects"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return "", errors.New("it is not a git repo (make it one with git init, and commit)")
		}
	}
	return dir, nil
}

func joined(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (d gitDir) open() (*localSession, error) {
	cfg, err := d.config()
	if err != nil {
		return nil, err
	}
	if err := checkFormat(cfg); err != nil {
		return nil, err
	}
	repoFS := dotgit.NewRepositoryFilesystem(osfs.New(d.own), osfs.New(d.common))
	st := filesystem.NewStorageWithOptions(repoFS, cache.NewObjectLRUDefault(),
		filesystem.Options{AlternatesFS: osfs.New("/"), LargeObjectThreshold: streamFrom})
	return &localSession{st: st, objects: filepath.Join(d.common, "objects"), partial: isPartial(cfg)}, nil
}

// config reads what is understood of the repo's configuration: what only git
// understands is no reason to refuse it.
func (d gitDir) config() (*gitconfig.Config, error) {
	f, err := os.Open(filepath.Join(d.common, "config"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cfg := gitconfig.New()
	if err := gitconfig.NewDecoder(f).Decode(cfg); err != nil {
		return gitconfig.New(), nil
	}
	return cfg, nil
}

// checkFormat refuses formats that would be read wrongly.
func checkFormat(cfg *gitconfig.Config) error {
	ext := cfg.Section("extensions")
	if v := ext.Option("objectformat"); v != "" && v != "sha1" {
		return fmt.Errorf("its objects are named by %s, which is not supported; use a repo made with git init --object-format=sha1", printable(v))
	}
	if v := ext.Option("refstorage"); v != "" && v != "files" {
		return fmt.Errorf("its refs are kept as %s, which is not supported for a local path; run git refs migrate --ref-format=files in it", printable(v))
	}
	return nil
}

// isPartial reports whether the repo may lack objects that it names (git's
// Documentation/technical/partial-clone).
func isPartial(cfg *gitconfig.Config) bool {
	for _, r := range cfg.Section("remote").Subsections {
		if r.Option("promisor") == "true" {
			return true
		}
	}
	return cfg.Section("extensions").HasOption("partialclone")
}
