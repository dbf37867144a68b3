package source

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/gitdir"
	"github.com/gitboot/gitboot/reconciler/source/proposal"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// A remote is where the config repo is.
type remote interface {
	// open connects for one operation, which ends with ctx, or when the
	// server is silent for too long. Its errors are this package's typed ones
	// where one fits.
	open(ctx context.Context, allowed *transport.Silence) (session, error)
	// push makes a new ref, in one operation.
	push(ctx context.Context, allowed *transport.Silence, p transport.Push) error
}

// A session is one conversation with a remote.
type session interface {
	// choose finds what is followed, or one of the errors of package ref.
	choose(want ref.Want) (ref.Chosen, error)
	// named says what a ref names, nothing if there is none.
	named(ref string) (plumbing.Hash, error)
	// tagged lists the tags of a commit whose names match patterns.
	tagged(of plumbing.Hash, patterns []string) ([]ref.Chosen, error)
	// Shallow lists the commits whose parents the remote says it lacks.
	Shallow() ([]plumbing.Hash, error)
	// fetch brings what the clone lacks of what was chosen and its history, or
	// whole, all of that: it is asked for once.
	fetch(ctx context.Context, what ref.Chosen, into *clone.Intake, whole bool) error
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
		URL: o.URL, TokenFile: cmp.Or(o.TokenFiles[Host(o.URL)], o.TokenFile), CAFile: o.CAFile, SSHKeyFile: o.SSHKeyFile, KnownHostsFile: o.KnownHostsFile, Proxy: o.Proxy, Sessions: o.Sessions,
	}, at)
	return serverRemote{server, o.URL}, err
}

// A serverRemote is a server's repo, which sends packs.
type serverRemote struct {
	transport.Remote
	url string
}

type serverSession struct {
	*transport.Session
	url string
}

func (r serverRemote) open(ctx context.Context, allowed *transport.Silence) (session, error) {
	s, err := r.Open(ctx, allowed)
	if err != nil {
		return nil, err
	}
	return serverSession{s, r.url}, nil
}

func (s serverSession) choose(want ref.Want) (ref.Chosen, error) { return want.Choose(s.url, s.Refs()) }

func (s serverSession) named(name string) (plumbing.Hash, error) { return s.Refs().Names[name], nil }

func (s serverSession) tagged(of plumbing.Hash, patterns []string) ([]ref.Chosen, error) {
	return s.Refs().Tagged(of, patterns), nil
}

func (s serverSession) fetch(ctx context.Context, what ref.Chosen, into *clone.Intake, whole bool) error {
	return s.Fetch(ctx, what.Object, into, whole)
}

// CheckAddress says what is wrong with the address of a config repo that is to
// mean the same wherever it is read from.
func CheckAddress(s string) error { return transport.CheckAddress(s) }

// Host is the server of an address over https, with its port if it names one; "" of
// another address.
func Host(address string) string {
	at, err := transport.ParseAddress(address)
	switch {
	case err != nil || at.By != transport.ByHTTPS:
		return ""
	case at.Port != "":
		return net.JoinHostPort(at.Host, at.Port)
	}
	return at.Host
}

// CheckRef says what is wrong with what is to be followed.
func CheckRef(s string) error {
	_, err := ref.Parse(s)
	return err
}

// ErrNothing says that there is nothing to propose.
var ErrNothing = proposal.ErrNothing

// A RefusedError says that a server takes no push.
type RefusedError = transport.RefusedError

// A Proposal takes commits back on a branch of its own.
type Proposal struct {
	proposal.Commit
	// Branch is its name; what is followed is never named.
	Branch string
}

// Propose makes the commit out of the clone, and a branch of it where the config repo
// is. One that is there with this commit is left; it returns the commit's name.
func Propose(ctx context.Context, o Options, p Proposal) (string, error) {
	ref := "refs/heads/" + p.Branch
	if followed := strings.TrimPrefix(o.Ref, "refs/heads/"); followed == p.Branch {
		return "", fmt.Errorf("the branch %s is the one that is followed, to which nothing is pushed", p.Branch)
	}
	s, err := Open(ctx, o)
	if err != nil {
		return "", err
	}
	raw, err := p.Encode(ctx, s.clone)
	if err != nil {
		return "", err
	}
	o.TokenFile, o.SSHKeyFile = cmp.Or(o.PushTokenFile, o.TokenFiles[Host(o.URL)], o.TokenFile), cmp.Or(o.PushSSHKeyFile, o.SSHKeyFile)
	o.TokenFiles = nil
	to, err := newRemote(o)
	if err != nil {
		return "", &OptionError{err}
	}
	return plumbing.ComputeHash(plumbing.CommitObject, raw).String(), s.converse(ctx, func(ctx context.Context, allowed *transport.Silence) error {
		return to.push(ctx, allowed, transport.Push{Ref: ref, Commit: raw})
	})
}

func (r serverRemote) push(ctx context.Context, allowed *transport.Silence, p transport.Push) error {
	return r.Push(ctx, allowed, p)
}

// push writes into the folder, as its owner would.
func (r *localRemote) push(ctx context.Context, _ *transport.Silence, p transport.Push) error {
	at, err := gitdir.Find(r.dir)
	if err != nil {
		return &UnreachableError{URL: r.url, Path: true, Err: err}
	}
	s, err := r.read(ctx, at)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.repo.Create(at.Common, plumbing.ReferenceName(p.Ref), p.Commit); err != nil {
		return fmt.Errorf("making the branch %s in %s: %w", p.Ref, r.dir, err)
	}
	return nil
}
