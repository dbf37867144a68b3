package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/submodule"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// maxNested is how many repos deep submodules may lie in one another.
const maxNested = 4

// A content is what the submodules of a commit hold: their commits, and the
// folders of the clones that have them.
type content struct {
	commits map[plumbing.Hash]clone.Module
	dirs    map[string]bool
}

// bringModules fetches what the submodules of a commit hold, if that is asked for.
// A commit names each of theirs: whoever signs it answers for them.
func (s *Source) bringModules(ctx context.Context, hash plumbing.Hash) (content, error) {
	if !s.opts.Submodules {
		return content{}, nil
	}
	c, err := s.commit(hash.String())
	if err != nil {
		return content{}, err
	}
	return s.modules(ctx, c, true)
}

// modules lists what the submodules of a commit hold, of all below them, too.
// What is not there is fetched, if fetch says so.
func (s *Source) modules(ctx context.Context, of *commit.Commit, fetch bool) (content, error) {
	all := content{map[plumbing.Hash]clone.Module{}, map[string]bool{}}
	if !s.opts.Submodules {
		return all, nil
	}
	return all, s.addModules(ctx, of, fetch, all)
}

func (s *Source) addModules(ctx context.Context, of *commit.Commit, fetch bool, all content) error {
	files, err := s.clone.Files(of, "", nil)
	if err != nil {
		return err
	}
	named, err := submodule.Read(files)
	if err != nil {
		return fmt.Errorf("reading commit %s of %s: %w", of.Hash, s.opts.URL, err)
	}
	for _, m := range named {
		hash, err := s.clone.ModuleAt(of, m.Path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it is named, and not there
		}
		if err == nil {
			err = s.addModule(ctx, m, hash, fetch, all)
		}
		if err != nil {
			return fmt.Errorf("reading submodule %s: %w", transport.Printable(m.Path), err)
		}
	}
	return nil
}

func (s *Source) addModule(ctx context.Context, m submodule.Module, hash plumbing.Hash, fetch bool, all content) error {
	if len(all.commits) >= submodule.Max || s.opts.depth >= maxNested {
		return fmt.Errorf("there are more than %d, or more than %d in one another", submodule.Max, maxNested)
	}
	o, err := s.opts.of(m, hash)
	if err != nil {
		return err
	}
	sub, err := Open(ctx, o)
	if err != nil {
		return err
	}
	if !sub.clone.Has(hash) {
		if !fetch {
			return fmt.Errorf("its commit %s was not fetched", hash)
		}
		if _, err := sub.Fetch(ctx, ""); err != nil {
			return err
		}
	}
	c, err := sub.commit(hash.String())
	if err != nil {
		return err
	}
	all.commits[hash], all.dirs[o.Dir] = clone.Module{In: sub.clone, Tree: c.Tree}, true
	return sub.addModules(ctx, c, fetch, all)
}

// of are the options for a submodule's repo. Only what its host may know is told.
func (o Options) of(m submodule.Module, hash plumbing.Hash) (Options, error) {
	url, err := submodule.Resolve(o.URL, m.URL)
	if err != nil {
		return o, err
	}
	own, err := transport.ParseAddress(o.URL)
	if err != nil {
		return o, err
	}
	at, err := transport.ParseAddress(url)
	switch {
	case err != nil:
		return o, err
	case at.By == transport.ByPath && own.By != transport.ByPath:
		return o, fmt.Errorf("its url %s is a path, which a repo on a server does not choose; write one that begins with ../", url)
	case at.Host != own.Host && !slices.Contains(o.SubmoduleHosts, at.Host):
		return o, fmt.Errorf("its url %s is at another host than the config repo; name that in agent.toml: submodule_hosts = [%q]", url, at.Host)
	}
	sub := Options{
		URL: url, SSHKeyFile: o.SSHKeyFile, KnownHostsFile: o.KnownHostsFile, CAFile: o.CAFile, Proxy: o.Proxy, Sessions: o.Sessions, Safe: o.Safe, Timeout: o.Timeout,
		Submodules: true, SubmoduleHosts: o.SubmoduleHosts, AcceptRewrite: hash.String(), Log: o.Log, Progress: o.Progress, module: hash, depth: o.depth + 1,
	}
	if at.By == transport.ByHTTPS && at.Host == own.Host && at.Port == own.Port {
		sub.TokenFile = o.TokenFile
	}
	sub.TokenFiles = o.TokenFiles
	sub.Dir = filepath.Join(o.modulesDir(), fmt.Sprintf("%x", sha256.Sum256([]byte(url)))[:24])
	return sub, nil
}

// modulesDir is where all submodules' clones are, side by side.
func (o Options) modulesDir() string {
	if o.depth > 0 {
		return filepath.Dir(o.Dir)
	}
	return filepath.Join(o.Dir, "modules")
}

// collect removes clones that neither a commit nor the one before it needs: what
// is made of that one may still be going on.
func (s *Source) collect(ctx context.Context, next plumbing.Hash, needed content) error {
	before := s.clone.Head()
	if next == before || s.opts.depth > 0 {
		return nil
	}
	keep := needed.dirs
	if c, err := s.clone.Commit(before); err == nil {
		was, err := s.modules(ctx, c, false)
		if err != nil {
			was.dirs = nil // of what cannot be read, nothing is needed
		}
		for dir := range was.dirs {
			keep[dir] = true
		}
	}
	there, err := os.ReadDir(s.opts.modulesDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range there {
		if dir := filepath.Join(s.opts.modulesDir(), e.Name()); !keep[dir] {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	return errors.Join(err, durable.SyncDir(s.opts.modulesDir()))
}
