package source

import (
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// A remote is where the config repo is.
type remote interface {
	// open connects for one operation, which ends with ctx, or when the
	// server is silent for too long. Its errors are this package's typed ones
	// where one fits.
	open(ctx context.Context, allowed *silence) (session, error)
}

// A session is one conversation with a remote.
type session interface {
	// tip returns the commit that a branch names ("" = HEAD), or an
	// *EmptyError or *BranchError.
	tip(branch string) (plumbing.Hash, error)
	// shallow lists the commits whose parents the remote says it lacks.
	shallow() ([]plumbing.Hash, error)
	// fetch brings what the clone lacks of want and its history, or whole, all
	// of that: it is asked for once.
	fetch(ctx context.Context, want plumbing.Hash, into *intake, whole bool) error
	Close() error
}

func newRemote(o Options) (remote, error) {
	at, err := parseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	switch at.by {
	case byHTTPS:
		return newHTTPS(o, at), nil
	case bySSH:
		return newSSH(o, at)
	}
	return &localRemote{url: o.URL, dir: at.path, safe: isSafe(at.path, o.Safe)}, nil
}

// pick chooses a branch's commit ("" = head's) among a repo's refs.
func pick(repo, branch string, head *plumbing.Hash, refs map[string]plumbing.Hash) (plumbing.Hash, error) {
	if branch == "" && head != nil {
		return *head, nil
	}
	if h, ok := refs[plumbing.NewBranchReferenceName(branch).String()]; ok {
		return h, nil
	}
	none := &BranchError{URL: repo, Branch: branch}
	for name := range refs {
		if ref := plumbing.ReferenceName(name); ref.IsBranch() {
			none.Others = append(none.Others, printable(ref.Short()))
		}
	}
	if len(none.Others) == 0 && head == nil {
		return plumbing.ZeroHash, &EmptyError{URL: repo}
	}
	slices.Sort(none.Others)
	_, none.Tag = refs[plumbing.NewTagReferenceName(branch).String()]
	return plumbing.ZeroHash, none
}
