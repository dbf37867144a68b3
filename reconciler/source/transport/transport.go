// Package transport speaks with git servers, over https and ssh: what an address
// means, who the server is, how long it may be silent, and how much it may say.
package transport

import (
	"context"
	"crypto/tls"
	"io"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/proxy"
)

// Options say how to reach a repo; those of package source have the same names.
type Options struct {
	URL                        string
	TokenFile, CAFile          string
	SSHKeyFile, KnownHostsFile string
	Proxy                      proxy.Settings
	// Sessions, if set, keeps TLS sessions, which cost both sides less to resume.
	Sessions tls.ClientSessionCache
}

// A Remote is a server that has the config repo.
type Remote interface {
	// Open connects for one operation, which ends with ctx, or when the
	// server is silent for too long. Its errors are this package's typed ones
	// where one fits.
	Open(ctx context.Context, allowed *Silence) (*Session, error)
	// Push makes a new ref, in one operation. If it may not, that is a *RefusedError.
	Push(ctx context.Context, allowed *Silence, p Push) error
}

// An Into is what a pack goes into.
type Into interface {
	// Newest are commits that are there.
	Newest(ctx context.Context, n int) ([]plumbing.Hash, error)
	// Receive takes the pack that fill writes.
	Receive(ctx context.Context, fill func(io.Writer) error) error
}

// New returns the server at an address, which is no path.
func New(o Options, at Address) (Remote, error) {
	if at.By == ByHTTPS {
		return newHTTPS(o, at), nil
	}
	return newSSH(o, at)
}
