package registry

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/gitboot/gitboot/image/internal/credentials"
	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// An endpoint is one repository in one registry that may hold the image: a
// mirror's or the registry's own. It logs in at its first request.
type endpoint struct {
	repo   name.Repository
	creds  credentials.Credentials
	scope  string // what to log in for: to pull, or to push too
	base   *exchange.Transport
	guard  *guard // around base
	timing exchange.Timing
	mirror bool

	mu     sync.Mutex
	client *http.Client
}

// newEndpoints gives the sources of a reference in the order to be asked.
func newEndpoints(ctx context.Context, ref Reference, opts Options) ([]*endpoint, error) {
	if opts.Local != nil {
		return []*endpoint{localEndpoint(ref, opts)}, nil
	}
	base, err := opts.Connections.Transport(opts.Insecure, opts.Insecure)
	if err != nil {
		return nil, err
	}
	var list []*endpoint
	for _, mirror := range append(append([]string{}, opts.Mirrors...), "") {
		r, err := mirrorRepository(mirror, ref.Context(), opts.Insecure)
		if err != nil {
			return nil, err
		}
		creds, err := credentials.Find(ctx, r, opts.CredentialsFile)
		if err != nil {
			return nil, err
		}
		opts.Log.Debug("credentials", "repository", r.Name(), "from", creds.Note)
		list = append(list, &endpoint{repo: r, creds: creds, scope: transport.PullScope, base: base, guard: newGuard(base, r.RegistryStr(), opts.TokenServers), timing: opts.Timing, mirror: mirror != ""})
	}
	return list, nil
}

// localEndpoint is what is asked of this process, and needs no login.
func localEndpoint(ref Reference, opts Options) *endpoint {
	base, repo := exchange.Local(opts.Local), ref.Context()
	nobody := credentials.Credentials{Auth: authn.Anonymous, Note: "anonymous (nobody else is asked)"}
	return &endpoint{repo: repo, creds: nobody, scope: transport.PullScope, base: base, guard: newGuard(base, repo.RegistryStr(), nil), timing: opts.Timing}
}

// mirrorRepository is where mirror keeps repo; mirror "" is repo's registry.
func mirrorRepository(mirror string, repo name.Repository, insecure bool) (name.Repository, error) {
	host := repo.RegistryStr()
	if mirror != "" {
		plain := strings.HasPrefix(mirror, "http://")
		host = strings.TrimPrefix(strings.TrimPrefix(mirror, "https://"), "http://")
		host = strings.TrimSuffix(host, "/")
		if plain && !insecure {
			return name.Repository{}, &exchange.InsecureError{Registry: host, Reason: "the mirror's address begins with http://"}
		}
	}
	var opts []name.Option
	if insecure {
		opts = append(opts, name.Insecure)
	}
	r, err := name.NewRepository(host+"/"+repo.RepositoryStr(), opts...)
	if err != nil || strings.Contains(host, "//") || mirror != "" && !strings.HasPrefix(host, r.RegistryStr()) {
		return name.Repository{}, fmt.Errorf("mirror %q: not of the form host[:port][/prefix] (a host has a dot or a port)", untrusted.CleanText(mirror))
	}
	return r, nil
}

// connect returns a client that is logged in. Only one caller logs in; its
// failure is not remembered.
func (e *endpoint) connect(ctx context.Context) (*http.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client != nil {
		return e.client, nil
	}
	rt, err := transport.NewWithContext(ctx, e.repo.Registry, e.creds.Auth, e.guard, []string{e.repo.Scope(e.scope)})
	if err != nil {
		return nil, err
	}
	e.client = &http.Client{Transport: rt}
	return e.client, nil
}

func (e *endpoint) String() string { return e.repo.Name() }
