package source

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A remote is where the config repo is.
type remote interface {
	// open connects for one operation, whose end is ctx's. Its errors are
	// this package's typed ones where one fits.
	open(ctx context.Context) (session, error)
}

// A session is one conversation with a remote.
type session interface {
	// tip returns the commit that a branch names ("" = HEAD), or an
	// *EmptyError or *BranchError.
	tip(branch string) (plumbing.Hash, error)
	// fetch adds to the clone what it lacks of want and its history.
	fetch(ctx context.Context, want plumbing.Hash, into *clone) error
	Close() error
}

func newRemote(o Options) (remote, error) {
	switch scheme, _, ok := strings.Cut(o.URL, "://"); {
	case o.URL == "":
		return nil, fmt.Errorf("following a config repo: none is named; give its URL or path")
	case ok && scheme == "file":
		return newFileURL(o.URL)
	case ok && scheme == "https":
		return newHTTPS(o)
	case ok && scheme == "ssh":
		return newSSH(o)
	case ok:
		return nil, fmt.Errorf("following %s://…: %s is not supported, as it protects neither content nor identity; use https, ssh, file or a path", scheme, scheme)
	case isSCP(o.URL):
		return newSSH(o)
	}
	return newLocal(o.URL)
}

// isSCP recognises user@host:path. As in git, a slash before the colon makes
// it a path.
func isSCP(s string) bool {
	host, _, ok := strings.Cut(s, ":")
	return ok && host != "" && !strings.Contains(host, "/")
}

func newLocal(path string) (remote, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", path, err)
	}
	return &localRemote{url: path, dir: abs}, nil
}

func newFileURL(s string) (remote, error) {
	u, err := parseURL(s)
	if err != nil {
		return nil, err
	}
	if u.Host != "" && u.Host != "localhost" {
		return nil, fmt.Errorf("following %s: a file URL names no host; write file:///path", s)
	}
	return &localRemote{url: s, dir: filepath.Clean(u.Path)}, nil
}

// parseURL refuses a URL that holds a password, and never repeats it.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("following the config repo: its URL is not well-formed; write it as https://host/path")
	}
	if _, ok := u.User.Password(); ok {
		return nil, fmt.Errorf("following %s: the URL holds a password, which would be shown in status and logs; put it into a file and name that as the token file", u.Redacted())
	}
	return u, nil
}

// pick chooses a branch's commit among those that a repo has.
func pick(repo, branch string, head *plumbing.Hash, heads map[string]plumbing.Hash) (plumbing.Hash, error) {
	if branch == "" && head != nil {
		return *head, nil
	}
	if h, ok := heads[branch]; ok {
		return h, nil
	}
	if len(heads) == 0 && head == nil {
		return plumbing.ZeroHash, &EmptyError{URL: repo}
	}
	others := make([]string, 0, len(heads))
	for name := range heads {
		others = append(others, printable(name))
	}
	slices.Sort(others)
	return plumbing.ZeroHash, &BranchError{URL: repo, Branch: branch, Others: others}
}
