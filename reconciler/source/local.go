package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"
)

// A localRemote is a repo in a folder of this machine. It is read without a
// git program: that is faster, needs none installed, and cannot run what a
// repo's configuration names.
type localRemote struct{ url, dir string }

type localSession struct {
	url string
	st  *filesystem.Storage
}

func (r *localRemote) open(ctx context.Context) (session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st, err := openGitDir(r.dir)
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Err: err}
	}
	return &localSession{url: r.url, st: st}, nil
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
		return plumbing.ZeroHash, &UnreachableError{URL: s.url, Err: err}
	}
	heads, err := s.heads()
	if err != nil {
		return plumbing.ZeroHash, &UnreachableError{URL: s.url, Err: err}
	}
	return pick(s.url, branch, nil, heads)
}

func (s *localSession) heads() (map[string]plumbing.Hash, error) {
	refs, err := s.st.IterReferences()
	if err != nil {
		return nil, err
	}
	heads := map[string]plumbing.Hash{}
	err = refs.ForEach(func(r *plumbing.Reference) error {
		if r.Name().IsBranch() && r.Type() == plumbing.HashReference {
			heads[r.Name().Short()] = r.Hash()
		}
		return nil
	})
	return heads, err
}

func (s *localSession) fetch(ctx context.Context, want plumbing.Hash, into *clone) error {
	shallow, err := s.st.Shallow()
	if err != nil {
		return err
	}
	lacking, err := missing(ctx, s.st, into.storage(), want, shallow)
	if err != nil {
		return err
	}
	if err := into.addShallow(shallow); err != nil {
		return err
	}
	return into.addObjects(ctx, s.st, lacking)
}

// openGitDir opens a bare repo, a work tree, or a linked work tree.
func openGitDir(dir string) (*filesystem.Storage, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	gitDir, err := findGitDir(dir)
	if err != nil {
		return nil, err
	}
	common := gitDir
	switch to, err := os.ReadFile(filepath.Join(gitDir, "commondir")); {
	case err == nil:
		common = joined(gitDir, strings.TrimSpace(string(to)))
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := checkFormat(filepath.Join(common, "config")); err != nil {
		return nil, err
	}
	repoFS := dotgit.NewRepositoryFilesystem(osfs.New(gitDir), osfs.New(common))
	return filesystem.NewStorageWithOptions(repoFS, cache.NewObjectLRUDefault(),
		filesystem.Options{AlternatesFS: osfs.New("/"), LargeObjectThreshold: streamFrom}), nil
}

func findGitDir(dir string) (string, error) {
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
			return "", fmt.Errorf("%s is not a git repo (make it one with git init, and commit)", dir)
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

// checkFormat refuses formats that would be read wrongly. A configuration
// that only git understands is no reason to refuse.
func checkFormat(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	cfg := gitconfig.New()
	if err := gitconfig.NewDecoder(f).Decode(cfg); err != nil {
		return nil
	}
	ext := cfg.Section("extensions")
	if v := ext.Option("objectformat"); v != "" && v != "sha1" {
		return fmt.Errorf("its objects are named by %s, which is not supported; use a repo made with git init --object-format=sha1", printable(v))
	}
	if v := ext.Option("refstorage"); v != "" && v != "files" {
		return fmt.Errorf("its refs are kept as %s, which is not supported for a local path; run git refs migrate --ref-format=files in it", printable(v))
	}
	return nil
}
