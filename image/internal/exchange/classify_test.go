package exchange

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

func TestWhy(t *testing.T) {
	for want, err := range map[string]error{
		"the server answered 503 (service unavailable)":          fmt.Errorf("ask: %w", &StatusError{Status: 503, Reason: "long"}),
		"connection refused":                                     &net.OpError{Op: "dial", Err: unix.ECONNREFUSED},
		"no answer about the name x.lan":                         &net.DNSError{Name: "x.lan", IsTemporary: true},
		"the connection was cut":                                 fmt.Errorf("read it: %w", untrusted.Clean(io.ErrUnexpectedEOF)),
		"the server fell silent":                                 fmt.Errorf("%w (30s)", ErrIdle),
		"not there; the server answered 429 (too many requests)": sourceErrors{&NotFoundError{Repository: "a", What: "tag 1"}, &StatusError{Status: 429}},
		"stopped":                      context.Canceled,
		"access refused (403)":         &AuthError{Status: 403},
		"no answer in time":            context.DeadlineExceeded,
		"the exchange failed":          io.ErrNoProgress,
		"the network is not reachable": &net.OpError{Err: unix.EHOSTUNREACH},
		"other content than promised; no host registry.lan; not protected": sourceErrors{&untrusted.DigestError{}, &UnknownHostError{"registry.lan"}, &InsecureError{}},
	} {
		if got := Why(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}
