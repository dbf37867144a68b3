package image

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// An endpoint is one repository in one registry that may hold the image: a
// mirror's or the registry's own. It logs in at its first request.
type endpoint struct {
	repo   name.Repository
	creds  credentials
	scope  string // what to log in for: to pull, or to push too
	base   *baseTransport
	guard  *guard // around base
	timing Timing

	mu     sync.Mutex
	client *http.Client
}

// newEndpoints gives the sources of a reference in the order to be asked.
func newEndpoints(ctx context.Context, ref name.Reference, opts Options) ([]*endpoint, error) {
	base := newBaseTransport(opts.Insecure, opts.Insecure)
	var list []*endpoint
	for _, repo := range append(append([]string{}, opts.Mirrors...), "") {
		r, err := mirrorRepository(repo, ref.Context(), opts.Insecure)
		if err != nil {
			return nil, err
		}
		creds, err := findCredentials(ctx, r, opts.CredentialsFile)
		if err != nil {
			return nil, err
		}
		opts.Log.Debug("credentials", "repository", r.Name(), "from", creds.note)
		list = append(list, &endpoint{repo: r, creds: creds, scope: transport.PullScope, base: base, guard: newGuard(base, r.RegistryStr(), opts.TokenServers), timing: opts.Timing})
	}
	return list, nil
}

// mirrorRepository is where mirror keeps repo; mirror "" is repo's registry.
func mirrorRepository(mirror string, repo name.Repository, insecure bool) (name.Repository, error) {
	host := repo.RegistryStr()
	if mirror != "" {
		plain := strings.HasPrefix(mirror, "http://")
		host = strings.TrimPrefix(strings.TrimPrefix(mirror, "https://"), "http://")
		host = strings.TrimSuffix(host, "/")
		if plain && !insecure {
			return name.Repository{}, &InsecureError{host, "the mirror's address begins with http://"}
		}
	}
	var opts []name.Option
	if insecure {
		opts = append(opts, name.Insecure)
	}
	r, err := name.NewRepository(host+"/"+repo.RepositoryStr(), opts...)
	if err != nil || strings.Contains(host, "//") || mirror != "" && !strings.HasPrefix(host, r.RegistryStr()) {
		return name.Repository{}, fmt.Errorf("mirror %q: not of the form host[:port][/prefix] (a host has a dot or a port)", cleanText(mirror))
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
	rt, err := transport.NewWithContext(ctx, e.repo.Registry, e.creds.auth, e.guard, []string{e.repo.Scope(e.scope)})
	if err != nil {
		return nil, err
	}
	e.client = &http.Client{Transport: rt}
	return e.client, nil
}

func (e *endpoint) String() string { return e.repo.Name() }

// A baseTransport is what every request of an endpoint goes through, those of
// logging in and those after a redirect too.
type baseTransport struct {
	plain bool // plain HTTP is allowed
	inner *http.Transport
}

// errPlainHTTP refuses what go-containerregistry would do by itself for
// localhost and private addresses.
var errPlainHTTP = errors.New("plain HTTP is not allowed")

func newBaseTransport(plain, unverified bool) *baseTransport {
	// HTTP/1.1: a connection for each blob, so that one which is slow to be
	// read never holds up another, and closing one cuts it.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &baseTransport{plain, &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: unverified, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     20 * time.Second,
		MaxIdleConnsPerHost: 8,
		ReadBufferSize:      64 << 10,
		Protocols:           protocols,
		// A blob's bytes are wanted as they are stored.
		DisableCompression: true,
	}}
}

// RoundTrip turns the answers that mean "later" into errors, so that they are
// treated alike wherever they come, in the midst of logging in too.
func (t *baseTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !t.plain {
		return nil, errPlainHTTP
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if passingStatus(resp.StatusCode) {
		defer resp.Body.Close()
		return nil, statusError(resp)
	}
	return resp, nil
}
