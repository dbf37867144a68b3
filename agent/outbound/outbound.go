// Package outbound sends small documents to servers over HTTP, and tries again
// what a server that is away, busy or broken did not take. Certificates are
// verified; redirects are not followed, because what shows a token is for one
// host; an error names the host, and neither the rest of an address, which may be
// a secret, nor a token.
package outbound

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/proxy"
)

const (
	// maxAnswer bounds what is read of an answer, and maxToken a token's file.
	maxAnswer = 16 << 10
	maxToken  = 16 << 10
	// maxWait bounds how long a server may ask to be left alone.
	maxWait = time.Hour
)

// A Client sends documents.
type Client struct {
	Proxy proxy.Settings
	// CAFile holds certificates that vouch for servers besides the system's.
	CAFile string
	// Each bounds one try. First is the pause after the first try, which doubles up to Most; Give is when
	// a document is given up.
	Each, First, Most, Give time.Duration
	Now                     func() time.Time
}

// New is a client whose tries take half a minute at most, with pauses from a second
// to five minutes, for a day.
func New(by proxy.Settings, caFile string) Client {
	return Client{Proxy: by, CAFile: caFile, Each: 30 * time.Second, First: time.Second, Most: 5 * time.Minute, Give: 24 * time.Hour, Now: time.Now}
}

// A Document is what is sent.
type Document struct {
	URL    string
	Header http.Header
	Body   []byte
	// TokenFile holds a token, which Authorize puts into the header; it is read anew
	// each time.
	TokenFile string
	Authorize func(h http.Header, token string)
}

// A RefusedError says that a server will not take a document, however often.
type RefusedError struct {
	Status int
	text   string
}

func (e *RefusedError) Error() string { return e.text }

// A LaterError says that a server may take a document later, and how long it wants
// to be left alone.
type LaterError struct {
	After time.Duration
	err   error
}

func (e *LaterError) Error() string { return e.err.Error() }

// Send sends a document until the server has taken it, or refused it, or it has
// taken too long.
func (c Client) Send(ctx context.Context, doc Document) error {
	began := c.Now()
	for pause := c.First; ; pause = min(2*pause, c.Most) {
		err := c.Try(ctx, doc)
		var later *LaterError
		if err == nil || ctx.Err() != nil || !errors.As(err, &later) {
			return cmp.Or(ctx.Err(), err)
		}
		wait := max(pause/2+rand.N(pause/2+1), later.After)
		if c.Now().Add(wait).Sub(began) > c.Give {
			return fmt.Errorf("given up after %s: %w", c.Now().Sub(began).Round(time.Second), err)
		}
		if err := ctxio.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// Try sends a document once. What may be tried again is a *LaterError, what the
// server will never take a *RefusedError.
func (c Client) Try(ctx context.Context, doc Document) error {
	ctx, stop := context.WithTimeout(ctx, c.Each)
	defer stop()
	req, err := doc.request(ctx)
	if err != nil {
		return err
	}
	t, err := c.transport()
	if err != nil {
		return err
	}
	client := http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return &LaterError{0, fmt.Errorf("send to %s: %w", req.URL.Host, bare(err))}
	}
	defer res.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return c.judge(req.URL.Host, res, string(answer))
}

// transport is for one try: proxy and authorities are as they are said to be now.
func (c Client) transport() (*http.Transport, error) {
	by, err := c.Proxy.HTTP()
	if err != nil {
		return nil, err
	}
	t := &http.Transport{Proxy: by, DisableKeepAlives: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10}
	if c.CAFile == "" {
		return t, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", c.CAFile)
	}
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}

// judge says what an answer means: taken, refused, or to be tried again.
func (c Client) judge(host string, res *http.Response, answer string) error {
	what := fmt.Sprintf("%s answers %s", host, res.Status)
	if said := plain.Cut(plain.Line(answer), 300); said != "" {
		what += ": " + said
	}
	wait := c.wait(res.Header)
	limited := res.StatusCode == http.StatusForbidden && wait > 0
	switch {
	case res.StatusCode < 300:
		return nil
	case res.StatusCode < 400:
		return &RefusedError{res.StatusCode, what + "; it has moved, write its new address"}
	case res.StatusCode >= 500, res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout, limited:
		return &LaterError{wait, errors.New(what)}
	}
	return &RefusedError{res.StatusCode, what}
}

// wait is how long a server wants to be left alone: Retry-After (RFC 9110,
// 10.2.3), or what GitHub, GitLab and others say when nothing remains of a limit.
func (c Client) wait(h http.Header) time.Duration {
	until := func(at time.Time) time.Duration { return min(max(at.Sub(c.Now()), 0), maxWait) }
	after := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(after); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), maxWait)
	}
	if at, err := http.ParseTime(after); err == nil {
		return until(at)
	}
	for _, prefix := range []string{"X-Ratelimit-", "Ratelimit-"} {
		if at, err := strconv.ParseInt(h.Get(prefix+"Reset"), 10, 64); err == nil && h.Get(prefix+"Remaining") == "0" {
			return until(time.Unix(at, 0))
		}
	}
	return 0
}

func (d Document) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.URL, bytes.NewReader(d.Body))
	if err != nil {
		return nil, errors.New("the address is no URL")
	}
	req.Header = d.Header.Clone()
	req.Header.Set("User-Agent", "gitboot")
	if d.TokenFile == "" {
		return req, nil
	}
	token, err := readToken(d.TokenFile)
	if err != nil {
		return nil, err
	}
	d.Authorize(req.Header, token)
	return req, nil
}

func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("read the token: %s does not hold one alone", path)
	}
	return token, nil
}

// bare is an error of a client without the address that it was for.
func bare(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}

// Check says what is wrong with an address that documents are sent to, which with
// a token has to be one that nobody reads on the way. The address is not repeated.
func Check(address string, token bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return errors.New("is no address of a server; write https://HOST/PATH")
	}
	if u.User != nil {
		return errors.New("holds a password, which belongs into a file; name one with token_file")
	}
	ip := net.ParseIP(u.Hostname())
	if here := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme == "http" && token && !here {
		return errors.New("is not encrypted, so that the token could be read on the way; write https://")
	}
	return nil
}
