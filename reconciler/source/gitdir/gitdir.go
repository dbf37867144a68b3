// Package gitdir finds and opens a git repo in a folder of this machine, whose
// owner may be anybody: nothing in it is executed, only regular files of bounded
// size are opened, none of them waits, and what does not end ends with the
// context.
package gitdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/cache"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/gitboot/gitboot/internal/plain"
)

// Name is that of git's folder in a work tree, or of the file that says where it
// is.
const Name = ".git"

// A Dir is where git keeps a repo: Own is a work tree's part of it (HEAD,
// index), Common what all work trees share.
type Dir struct{ Own, Common string }

// Find finds that of a bare repo, a work tree, or a linked work tree.
func Find(dir string) (Dir, error) {
	if _, err := os.Stat(dir); err != nil {
		return Dir{}, err
	}
	own, err := followGitLink(dir)
	if err != nil {
		return Dir{}, err
	}
	to, err := read(filepath.Join(own, "commondir"))
	if errors.Is(err, fs.ErrNotExist) {
		return Dir{own, own}, nil
	}
	return Dir{own, joined(own, strings.TrimSpace(string(to)))}, err
}

func followGitLink(dir string) (string, error) {
	at := filepath.Join(dir, Name)
	info, err := os.Stat(at)
	switch {
	case err == nil && info.IsDir():
		return at, nil
	case err == nil:
		link, err := read(at)
		if err != nil {
			return "", err
		}
		to, ok := strings.CutPrefix(string(link), "gitdir:")
		if !ok {
			return "", fmt.Errorf("%s is neither a folder nor a link to one", at)
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

// Paths are those whose owners decide what is read of a repo in dir.
func (d Dir) Paths(dir string) []string {
	paths := []string{dir, d.Own, d.Common}
	if link := filepath.Join(dir, Name); d.Own != dir && d.Own != link {
		paths = append(paths, link)
	}
	return paths
}

// A Repo is one that is read. Objects is the folder of its objects; the
// storage gives refs and the index.
type Repo struct {
	*filesystem.Storage
	Objects string
	Partial bool // what it lacks, another repo has
}

// Open opens the repo, for as long as the context.
func (d Dir) Open(ctx context.Context) (*Repo, error) {
	cfg, err := d.config()
	if err != nil {
		return nil, err
	}
	if err := checkFormat(cfg); err != nil {
		return nil, err
	}
	files := dotgit.NewRepositoryFilesystem(Files(ctx, d.Own), Files(ctx, d.Common))
	st := filesystem.NewStorageWithOptions(files, cache.NewObjectLRUDefault(), filesystem.Options{})
	return &Repo{Storage: st, Objects: filepath.Join(d.Common, "objects"), Partial: isPartial(cfg)}, nil
}

// config reads what is understood of the repo's configuration: what only git
// understands is no reason to refuse it.
func (d Dir) config() (*gitconfig.Config, error) {
	data, err := read(filepath.Join(d.Common, "config"))
	if err != nil {
		return nil, err
	}
	cfg := gitconfig.New()
	if err := gitconfig.NewDecoder(bytes.NewReader(data)).Decode(cfg); err != nil {
		return gitconfig.New(), nil
	}
	return cfg, nil
}

// checkFormat refuses formats that would be read wrongly.
func checkFormat(cfg *gitconfig.Config) error {
	ext := cfg.Section("extensions")
	if v := ext.Option("objectformat"); v != "" && v != "sha1" {
		return fmt.Errorf("its objects are named by %s, which is not supported; use a repo made with git init --object-format=sha1", plain.Line(v))
	}
	if v := ext.Option("refstorage"); v != "" && v != "files" {
		return fmt.Errorf("its refs are kept as %s, which is not supported for a local path; run git refs migrate --ref-format=files in it", plain.Line(v))
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
