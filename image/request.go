package image

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
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
	w := watch(ctx, patience)
	resp, err := e.send(w, r)
	if err == nil {
		for _, status := range ok {
			if resp.StatusCode == status {
				resp.Body = &watchedBody{ReadCloser: resp.Body, w: w}
				return resp, nil
			}
		}
		err = e.refused(resp.StatusCode, r, statusError(resp))
		resp.Body.Close()
	} else {
		err = e.explain(w.cause(err), r)
	}
	w.stop()
	return nil, err
}

func (e *endpoint) send(w *watchdog, r request) (*http.Response, error) {
	client, err := e.connect(w.ctx)
	if err != nil {
		return nil, err
	}
	w.kick()
	// The login found out the scheme, and its transport puts it in.
	address := cmp.Or(r.address, "https://"+e.repo.RegistryStr()+"/v2/"+e.repo.RepositoryStr()+"/"+r.path)
	req, err := http.NewRequestWithContext(w.ctx, r.method, address, nil)
	if err != nil {
		return nil, err
	}
	if r.body != nil {
		req.Body, req.ContentLength = &sentBody{ReadCloser: r.body, w: w}, r.length
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	resp, err := client.Do(req)
	w.kick()
	return resp, err
}

// explain gives a failed exchange the type that callers know.
func (e *endpoint) explain(err error, r request) error {
	var (
		login  *transport.Error
		status *StatusError
		token  *TokenServerError
		cert   *tls.CertificateVerificationError
		first  *url.Error
	)
	switch {
	case errors.As(err, &token):
		return token
	case errors.As(err, &login):
		return e.refused(login.StatusCode, r, &StatusError{Status: login.StatusCode, Reason: diagnostics(login.Errors)})
	case errors.As(err, &status):
		return e.refused(status.Status, r, status)
	}
	if unknown := unknownHost(err); unknown != nil {
		return unknown
	}
	if !e.base.plain && errors.As(err, &first) {
		// A login tries HTTPS first and what is then refused here second:
		// only the first says what is wrong.
		err = first
		switch {
		case errors.As(err, &cert):
			return &InsecureError{e.repo.RegistryStr(), "its certificate cannot be verified (" + cleanText(cert.Err.Error()) + "), add its authority to the system's trust store"}
		case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
			return &InsecureError{e.repo.RegistryStr(), "it speaks plain HTTP, which protects neither credentials nor tags"}
		case errors.Is(err, errPlainHTTP):
			return &InsecureError{e.repo.RegistryStr(), "it leads to plain HTTP"}
		}
	}
	return fmt.Errorf("%s: %w", e.doing(r), clean(err))
}

// refused tells the refusals apart that have remedies of their own.
func (e *endpoint) refused(status int, r request, err *StatusError) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return &AuthError{e.repo.Name(), status, e.creds.note, err.Reason}
	case status == http.StatusNotFound && !r.sends:
		return &NotFoundError{e.repo.Name(), r.what}
	case status == http.StatusTooManyRequests:
		// Registries count by who asks, and everybody on an address as one.
		return fmt.Errorf("%s with credentials: %s: %w", e.doing(r), e.creds.note, err)
	}
	return fmt.Errorf("%s: %w", e.doing(r), err)
}

// statusError reads what a registry says about a refusal.
func statusError(resp *http.Response) *StatusError {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	return &StatusError{resp.StatusCode, reason(resp.Header.Get("Content-Type"), body), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

// reason finds a server's words in the forms that registries and what stands
// before them use; a page of HTML says nothing.
func reason(media string, body []byte) string {
	var said struct {
		Errors         []transport.Diagnostic `json:"errors"`
		Message, Error string
	}
	if json.Unmarshal(body, &said) == nil {
		return cmp.Or(diagnostics(said.Errors), cleanText(said.Message), cleanText(said.Error))
	}
	if strings.HasPrefix(media, "text/plain") {
		return cleanText(strings.TrimSpace(string(body)))
	}
	return ""
}

func diagnostics(list []transport.Diagnostic) string {
	if len(list) == 0 {
		return ""
	}
	return cleanText(string(list[0].Code) + " " + list[0].Message)
}

// retryAfter reads the header's two forms (RFC 9110, 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(value); err == nil && s > 0 && s < 1<<30 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(value); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// A watchdog cancels an exchange in which nothing comes for a while.
type watchdog struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	idle   time.Duration
	rate   int64 // least bytes a second
}

func watch(ctx context.Context, t Timing) *watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, idle: t.Idle, rate: t.MinRate}
	w.timer = time.AfterFunc(t.Idle, func() { cancel(ErrIdle) })
	return w
}

func (w *watchdog) kick() { w.timer.Reset(w.idle) }

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// cause replaces the error of a cancelled exchange by why it was cancelled.
func (w *watchdog) cause(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch why := context.Cause(w.ctx); {
	case why == ErrIdle:
		return fmt.Errorf("%w (%s)", ErrIdle, w.idle)
	case errors.Is(why, ErrSlow):
		return why
	}
	return err
}

// A watchedBody ends in ErrIdle when the server falls silent, and in ErrSlow
// when it sends less than it has to, over as long as it may be silent: a byte now
// and then is no more than silence. The time that its reader takes between reads
// does not count.
type watchedBody struct {
	io.ReadCloser
	w *watchdog
	pace
}

func (b *watchedBody) Read(p []byte) (int, error) {
	b.w.kick()
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.w.timer.Stop()
	b.weigh(b.w, n, time.Since(began))
	return n, b.w.cause(err)
}

// A pace is how fast bytes come or go.
type pace struct {
	bytes int64
	since time.Duration // spent waiting for them
}

// weigh ends the exchange if they are too few.
func (p *pace) weigh(w *watchdog, n int, took time.Duration) {
	p.bytes += int64(n)
	if p.since += took; p.since < w.idle {
		return
	}
	if float64(p.bytes) < float64(w.rate)*p.since.Seconds() {
		w.cancel(fmt.Errorf("%w: %d bytes in %s, and not %d a second", ErrSlow, p.bytes, p.since.Round(time.Millisecond), w.rate))
	}
	*p = pace{}
}

func (b *watchedBody) Close() error {
	b.w.stop()
	return b.ReadCloser.Close()
}
