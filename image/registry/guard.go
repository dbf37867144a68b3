package registry

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A guard keeps credentials from all hosts but the registry's own and those
// that may have them. A registry names in a header the host that gives its
// tokens (the realm), and a redirect names others still: none of these is whom
// the credentials were meant for.
type guard struct {
	inner    http.RoundTripper
	registry string   // its host, without a port
	named    []string // hosts that may have them, too
}

func newGuard(inner http.RoundTripper, registry string, named []string) *guard {
	return &guard{inner, strings.ToLower((&url.URL{Host: registry}).Hostname()), named}
}

// tokenServer is the host of a well-known registry's realm where that is another
// one, of the same owner. Most serve both on one: ghcr.io, quay.io, *.azurecr.io,
// *.pkg.dev, a Harbor, a Forgejo.
func tokenServer(registry string) string {
	switch registry {
	case "index.docker.io":
		return "auth.docker.io"
	case "registry.gitlab.com":
		return "gitlab.com"
	case "registry.digitalocean.com":
		return "api.digitalocean.com"
	case "docker.elastic.co":
		return "docker-auth.elastic.co"
	}
	return registry
}

func (g *guard) trusts(host string) bool {
	host = strings.ToLower(host)
	return host == g.registry || host == tokenServer(g.registry) || slices.Contains(g.named, host)
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if host := req.URL.Hostname(); holdsSecret(req) && !g.trusts(host) {
		return nil, &exchange.TokenServerError{Registry: g.registry, Host: untrusted.Printable(host, 200)}
	}
	return g.inner.RoundTrip(req)
}

// holdsSecret reports whether a request carries what credentials hold: a
// password, or the refresh token that is sent as a form (OAuth 2). The tokens
// that a token server gives are of use with its registry alone.
func holdsSecret(req *http.Request) bool {
	scheme, _, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Basic") ||
		strings.HasPrefix(req.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
}

// CheckTokenServer says what is wrong with a name among Options.TokenServers.
func CheckTokenServer(host string) error {
	u, err := url.Parse("https://" + host + "/")
	if err != nil || host == "" || u.Hostname() != host || host != strings.ToLower(host) || strings.ContainsAny(host, "*:") {
		return fmt.Errorf("%q is not a host's name alone, in small letters and without a port", untrusted.Printable(host, 100))
	}
	return nil
}
