package exchange

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An AuthError is a registry's refusal of who we are (401) or of what we may
// see (403).
type AuthError struct {
	Repository  string
	Status      int
	Credentials string // which were used, never the secret
	Reason      string // the registry's words
}

func (e *AuthError) Error() string {
	return fmt.Sprintf("%s refused access (%d%s) with credentials: %s; check the image's name, or put an entry for the registry into a credential file and name it as credentials_file",
		e.Repository, e.Status, withColon(e.Reason), e.Credentials)
}

// A NotFoundError says that a source does not have something.
type NotFoundError struct {
	Repository string
	What       string // "tag stable", "manifest sha256:…", "blob sha256:…"
	// Mirror: it is not where the image is pushed, and others are asked besides.
	Mirror bool
}

func (e *NotFoundError) Error() string {
	if e.Mirror {
		return fmt.Sprintf("mirror %s has no %s", e.Repository, e.What)
	}
	return fmt.Sprintf("%s has no %s; check the image's name and tag, or push it", e.Repository, e.What)
}

// A NoTagError says that a repository has no tag that a constraint means.
type NoTagError struct {
	Repository, Constraint string
	Tags                   int // that there are
}

func (e *NoTagError) Error() string {
	return fmt.Sprintf("%s has no tag within %s, among %d tags; look at them, correct the constraint, or push one (pre-releases count only where it names one, as ~1.2-0 does)", e.Repository, e.Constraint, e.Tags)
}

// An UnknownHostError says that a source's name has no address.
type UnknownHostError struct{ Host string }

func (e *UnknownHostError) Error() string {
	return fmt.Sprintf("there is no host %s: its name does not resolve; check the image's name, and this machine's name servers", e.Host)
}

// A ProxyError says that a proxy does not let a request through.
type ProxyError struct {
	Proxy  string // host:port
	Status int
}

func (e *ProxyError) Error() string {
	remedy := "it cannot reach the server, or may not: name in no_proxy of agent.toml what is reached without it"
	if e.Status == http.StatusProxyAuthRequired {
		remedy = "write user and password into the URL that proxy_file of agent.toml names"
	}
	return fmt.Sprintf("the proxy %s answered %d; %s", e.Proxy, e.Status, remedy)
}

// An InsecureError says that a source can only be used without protection.
type InsecureError struct {
	Registry string
	Reason   string
}

func (e *InsecureError) Error() string {
	return fmt.Sprintf("%s: %s; set insecure = true for this image if that is meant", e.Registry, e.Reason)
}

// A StatusError is any other answer of a server that is not the one wanted.
type StatusError struct {
	Status int
	Reason string
	// RetryAfter is how long the server asks to be left alone, 0 if it doesn't.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d%s", e.Status, withColon(e.Reason))
	if e.RetryAfter > 0 {
		s += fmt.Sprintf(" and asks to wait %s", e.RetryAfter)
	}
	return s
}

// ErrIdle is the cause when a server sent nothing for Timing.Idle.
var ErrIdle = errors.New("the server sent nothing for too long")

// ErrSlow is the cause when a server sent or took less than Timing.MinRate.
var ErrSlow = errors.New("the server is too slow")

// sourceErrors is what each source said, in their order.
type sourceErrors []error

func (e sourceErrors) Error() string {
	var parts []string
	for _, err := range e {
		if text := err.Error(); !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ")
}

func (e sourceErrors) Unwrap() []error { return e }

// JoinSources keeps a single error as it is.
func JoinSources(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return sourceErrors(errs)
}

func withColon(s string) string {
	if s == "" {
		return ""
	}
	return ": " + s
}

// A LayerError is a fault of the layer, which sending it again does not mend.
type LayerError struct{ Err error }

func (e *LayerError) Error() string { return e.Err.Error() }

func (e *LayerError) Unwrap() error { return e.Err }

// A TokenServerError says that a registry wants its credentials to go to
// another host.
type TokenServerError struct{ Registry, Host string }

func (e *TokenServerError) Error() string {
	return fmt.Sprintf("%s asks to log in at another host, %s, to which its credentials are not sent; if that is its token server, name it in token_servers of agent.toml", e.Registry, e.Host)
}
