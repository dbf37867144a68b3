package exchange

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/image/cosign"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// Why says in a few words why a source failed, for a line on which somebody
// waits; the error itself has all of it.
func Why(err error) string {
	var several sourceErrors
	if !errors.As(err, &several) {
		why, _ := classify(err)
		return why
	}
	var all []string
	for _, err := range several {
		if why, _ := classify(err); !slices.Contains(all, why) {
			all = append(all, why)
		}
	}
	return strings.Join(all, "; ")
}

// Passing tells whether trying again may help.
func Passing(err error) bool {
	_, passes := classify(err)
	return passes
}

// classify is the one place that knows kinds of failures.
func classify(err error) (why string, passes bool) {
	if why, known := Lasting(err); known {
		return why, false
	}
	var (
		status  *StatusError
		proxy   *ProxyError
		dns     *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.As(err, &proxy):
		return fmt.Sprintf("the proxy answered %d", proxy.Status), proxy.Status >= 500
	case toProxy(err):
		return "the proxy cannot be reached", true
	case errors.As(err, &status):
		return statusWords(status.Status), PassingStatus(status.Status)
	case errors.As(err, &dns):
		return "no answer about the name " + untrusted.Printable(dns.Name, 100), true
	case errors.Is(err, ErrIdle):
		return "the server fell silent", true
	case errors.Is(err, ErrSlow):
		return "the server is too slow", true
	case errors.Is(err, unix.ECONNREFUSED):
		return "connection refused", true
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return "the network is not reachable", true
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return "the connection was cut", true
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time", true
	}
	return "the exchange failed", true
}

// Lasting knows the failures that trying again does not mend.
func Lasting(err error) (why string, known bool) {
	var (
		auth     *AuthError
		missing  *NotFoundError
		none     *NoTagError
		insecure *InsecureError
		digest   *untrusted.DigestError
		unsup    *untrusted.UnsupportedError
		unknown  *UnknownHostError
		token    *TokenServerError
		layer    *LayerError
		large    *expand.ExpansionError
		unsigned *cosign.UnsignedError
	)
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "no room", true
	case errors.As(err, &large):
		return "larger than it may be", true
	case errors.As(err, &layer):
		return "the layer cannot be read", true
	case errors.As(err, &auth):
		return fmt.Sprintf("access refused (%d)", auth.Status), true
	case errors.As(err, &missing):
		return "not there", true
	case errors.As(err, &none):
		return "no tag within " + none.Constraint, true
	case errors.As(err, &insecure):
		return "not protected", true
	case errors.As(err, &digest):
		return "other content than promised", true
	case errors.As(err, &unsup):
		return "not supported", true
	case errors.As(err, &unsigned):
		return "not signed by its key", true
	case errors.As(err, &token):
		return "another host to log in at", true
	case errors.As(err, &unknown):
		return "no host " + unknown.Host, true
	case errors.Is(err, context.Canceled):
		return "stopped", true
	}
	return "", false
}

func statusWords(status int) string {
	text := http.StatusText(status)
	if text == "" {
		return fmt.Sprintf("the server answered %d", status)
	}
	return fmt.Sprintf("the server answered %d (%s)", status, strings.ToLower(text))
}

// PassingStatus tells whether an answer means "later".
func PassingStatus(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooManyRequests ||
		status >= 500 && status != http.StatusNotImplemented
}

// toProxy tells a failure on the way to the proxy from one on the way to a
// server.
func toProxy(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "proxyconnect"
}

// UnknownHost finds out that an exchange failed because nobody knows its
// host's name. A name server that does not answer is another matter.
func UnknownHost(err error) error {
	var dns *net.DNSError
	if !errors.As(err, &dns) || !dns.IsNotFound || toProxy(err) {
		return nil
	}
	return &UnknownHostError{untrusted.Printable(dns.Name, 200)}
}
