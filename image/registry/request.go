package registry

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A request is one call of the registry API (OCI distribution-spec) below
// /v2/<repository>/.
type request struct {
	method, path string
	header       http.Header
	what         string // for messages: "tag stable"

	address string // an absolute one instead of path, "" for path
	body    io.ReadCloser
	length  int64 // of body, -1 if not known
	sends   bool  // for messages: what is sent, not asked for
	slow    bool  // the answer may take slowly times as long as others
}

// slowly is how many times as long a registry may take to answer for a whole
// layer: some copy it to where they keep it first.
const slowly = 10

// doing says what a request does, for messages.
func (e *endpoint) doing(r request) string {
	if r.sends {
		return fmt.Sprintf("send %s to %s", r.what, e)
	}
	return fmt.Sprintf("ask %s for %s", e, r.what)
}

// do sends r and returns the answer when its status is one of ok. The body
// ends with an error when the server falls silent.
func (e *endpoint) do(ctx context.Context, r request, ok ...int) (*http.Response, error) {
	patience := e.timing
	if r.slow {
		patience.Idle *= slowly
	}
	w := exchange.Watch(ctx, patience)
	resp, err := e.send(w, r)
	if err == nil {
		for _, status := range ok {
			if resp.StatusCode == status {
				resp.Body = w.Received(resp.Body)
				return resp, nil
			}
		}
		err = e.refused(resp.StatusCode, r, exchange.NewStatusError(resp))
		resp.Body.Close()
	} else {
		err = e.explain(w.Cause(err), r)
	}
	w.Stop()
	return nil, err
}

func (e *endpoint) send(w *exchange.Watchdog, r request) (*http.Response, error) {
	client, err := e.connect(w.Context())
	if err != nil {
		return nil, err
	}
	w.Kick()
	// The login found out the scheme, and its transport puts it in.
	address := cmp.Or(r.address, "https://"+e.repo.RegistryStr()+"/v2/"+e.repo.RepositoryStr()+"/"+r.path)
	req, err := http.NewRequestWithContext(w.Context(), r.method, address, nil)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Body, req.ContentLength = w.Sent(r.body), r.length
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	resp, err := client.Do(req)
	w.Kick()
	return resp, err
}

// explain gives a failed exchange the type that callers know.
func (e *endpoint) explain(err error, r request) error {
	var (
		login  *transport.Error
		status *exchange.StatusError
		token  *exchange.TokenServerError
		by     *exchange.ProxyError
		cert   *tls.CertificateVerificationError
		first  *url.Error
	)
	switch {
	case errors.As(err, &token):
		return token
	case errors.As(err, &by):
		return fmt.Errorf("%s: %w", e.doing(r), by)
	case errors.As(err, &login):
		return e.refused(login.StatusCode, r, &exchange.StatusError{Status: login.StatusCode, Reason: exchange.Diagnostics(login.Errors)})
	case errors.As(err, &status):
		return e.refused(status.Status, r, status)
	}
	if unknown := exchange.UnknownHost(err); unknown != nil {
		return unknown
	}
	if !e.base.Plain && errors.As(err, &first) {
		// A login tries HTTPS first and what is then refused here second:
		// only the first says what is wrong.
		err = first
		switch {
		case errors.As(err, &cert):
			return &exchange.InsecureError{Registry: e.repo.RegistryStr(), Reason: "its certificate cannot be verified (" + untrusted.CleanText(cert.Err.Error()) + "), add its authority to the system's trust store"}
		case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
			return &exchange.InsecureError{Registry: e.repo.RegistryStr(), Reason: "it speaks plain HTTP, which protects neither credentials nor tags"}
		case errors.Is(err, exchange.ErrPlainHTTP):
			return &exchange.InsecureError{Registry: e.repo.RegistryStr(), Reason: "it leads to plain HTTP"}
		}
	}
	return fmt.Errorf("%s: %w", e.doing(r), untrusted.Clean(err))
}

// refused tells the refusals apart that have remedies of their own.
func (e *endpoint) refused(status int, r request, err *exchange.StatusError) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &exchange.AuthError{Repository: e.repo.Name(), Status: status, Credentials: e.creds.Note, Reason: err.Reason}
	case status == http.StatusNotFound && !r.sends:
		return &exchange.NotFoundError{Repository: e.repo.Name(), What: r.what, Mirror: e.mirror}
	case status == http.StatusTooManyRequests:
		// Registries count by who asks, and everybody on an address as one.
		return fmt.Errorf("%s with credentials: %s: %w", e.doing(r), e.creds.Note, err)
	}
	return fmt.Errorf("%s: %w", e.doing(r), err)
}
