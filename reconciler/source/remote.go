package source

import (
	"context"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// A remote is where the config repo is.
type remote interface {
	// open connects for one operation, which ends with ctx, or when the
	// server is silent for too long. Its errors are this package's typed ones
	// where one fits.
	open(ctx context.Context, allowed *transport.Silence) (session, error)
}

// A session is one conversation with a remote.
type session interface {
	// Tip returns the commit that a branch names ("" = HEAD), or an
	// *EmptyError or *BranchError.
	Tip(branch string) (plumbing.Hash, error)
	// Shallow lists the commits whose parents the remote says it lacks.
	Shallow() ([]plumbing.Hash, error)
	// fetch brings what the clone lacks of want and its history, or whole, all
	// of that: it is asked for once.
	fetch(ctx context.Context, want plumbing.Hash, into *clone.Intake, whole bool) error
	Close() error
}

func newRemote(o Options) (remote, error) {
	at, err := transport.ParseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	if at.By == transport.ByPath {
		return &localRemote{url: o.URL, dir: at.Path, safe: isSafe(at.Path, o.Safe)}, nil
	}
	server, err := transport.New(transport.Options{
		URL: o.URL, TokenFile: o.TokenFile, CAFile: o.CAFile, SSHKeyFile: o.SSHKeyFile, KnownHostsFile: o.KnownHostsFile, Proxy: o.Proxy,
	}, at)
	return serverRemote{server}, err
}

// A serverRemote is a server's repo, which sends packs.
type serverRemote struct{ transport.Remote }

type serverSession struct{ *transport.Session }

func (r serverRemote) open(ctx context.Context, allowed *transport.Silence) (session, error) {
	s, err := r.Open(ctx, allowed)
	if err != nil {
		return nil, err
	}
	return serverSession{s}, nil
}

func (s serverSession) fetch(ctx context.Context, want plumbing.Hash, into *clone.Intake, whole bool) error {
	return s.Fetch(ctx, want, into, whole)
}

// CheckAddress says what is wrong with the address of a config repo that is to
// mean the same wherever it is read from.
func CheckAddress(s string) error { return transport.CheckAddress(s) }
