package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/gitboot/gitboot/reconciler/source/ref"
)

// An httpsRemote reads its token and CA file anew for each operation, so that
// a rotated one is used without a restart.
type httpsRemote struct {
	opts Options
	user string
}

func newHTTPS(o Options, at Address) Remote {
	r := &httpsRemote{opts: o, user: at.User}
	if r.user == "" {
		r.user = "git" // servers that take a token as password ignore the name
	}
	return r
}

func (r *httpsRemote) Open(ctx context.Context, allowed *Silence) (*Session, error) {
	auth, err := r.auth()
	if err != nil {
		return nil, err
	}
	web, err := r.transport(allowed)
	if err != nil {
		return nil, err
	}
	ep, err := transport.NewEndpoint(r.opts.URL)
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", r.opts.URL, err)
	}
	ep.User = ""
	var method transport.AuthMethod
	if auth != nil {
		method = auth
	}
	guard := &guarded{RoundTripper: web}
	up, err := githttp.NewClient(&http.Client{Transport: guard}).NewUploadPackSession(ep, method)
	if err != nil {
		return nil, r.explain(err, auth)
	}
	refs, err := up.AdvertisedReferencesContext(ctx)
	if err != nil {
		web.CloseIdleConnections()
		return nil, r.explain(err, auth)
	}
	pack := func(ctx context.Context, req *packp.UploadPackRequest) (io.ReadCloser, error) {
		res, err := up.UploadPack(ctx, req)
		if err != nil {
			return nil, r.explain(err, auth)
		}
		guard.answer.expect("pack", maxStream)
		return res, nil
	}
	return &Session{refs: withHead(refs), pack: pack, close: func() error {
		web.CloseIdleConnections()
		return up.Close()
	}}, nil
}

func (r *httpsRemote) auth() (*githttp.BasicAuth, error) {
	if r.opts.TokenFile == "" {
		return nil, nil
	}
	data, err := os.ReadFile(r.opts.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("reading the token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return nil, fmt.Errorf("reading the token file %s: it is empty; write the access token into it", r.opts.TokenFile)
	}
	return &githttp.BasicAuth{Username: r.user, Password: token}, nil
}

func (r *httpsRemote) transport(allowed *Silence) (*http.Transport, error) {
	by, err := r.opts.Proxy.HTTP()
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", r.opts.URL, err)
	}
	t := &http.Transport{
		Proxy:           by,
		DialContext:     allowed.dial,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: r.opts.Sessions},

		MaxResponseHeaderBytes: maxAnswer,
	}
	if r.opts.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(r.opts.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA file %s: no certificate in it; it must be in PEM form", r.opts.CAFile)
	}
	t.TLSClientConfig.RootCAs = pool
	return t, nil
}

// guarded bounds each answer of a server, and finds out that one is no git
// server's, which would be told as a fault of its encoding. Type and service
// are those of git's Documentation/gitprotocol-http.
type guarded struct {
	http.RoundTripper
	answer *bounded // to what was asked last
}

func (t *guarded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return res, err
	}
	t.answer = &bounded{Reader: res.Body, Closer: res.Body}
	t.answer.expect("answer", maxAnswer)
	service := req.URL.Query().Get("service")
	switch {
	case res.StatusCode != http.StatusOK:
		// the beginning of an error's words is enough
		t.answer.Reader = io.LimitReader(res.Body, maxWords)
	case service == transport.UploadPackServiceName || service == transport.ReceivePackServiceName:
		t.answer.expect("list of refs", maxRefs)
		kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
		if kind != "application/x-"+service+"-advertisement" {
			return nil, errors.Join(&NoGitServerError{Type: Printable(kind)}, res.Body.Close())
		}
	}
	res.Body = t.answer
	return res, nil
}

// explain turns a transport's error into ours, without the token.
func (r *httpsRemote) explain(err error, auth *githttp.BasicAuth) error {
	url, with := r.opts.URL, "no token file"
	if auth != nil {
		with = "token file " + r.opts.TokenFile
	}
	if other := new(NoGitServerError); errors.As(err, &other) {
		return &NoGitServerError{URL: url, Type: other.Type}
	}
	err = tidy(err, auth)
	var ca x509.UnknownAuthorityError
	switch {
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return &ref.EmptyError{URL: url}
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		return &AuthError{URL: url, With: with, Err: err}
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return &UnreachableError{URL: url, Err: fmt.Errorf("no such repo, or it is hidden from %s", with)}
	case errors.As(err, &ca):
		return &UnreachableError{URL: url, Err: fmt.Errorf("%w (set ca_file in agent.toml to the CA's certificate)", err)}
	}
	return &UnreachableError{URL: url, Err: err}
}

// tidy replaces an error that repeats the token, or steers a terminal, as a
// server's words may, by one that does not.
func tidy(err error, auth *githttp.BasicAuth) error {
	text := Printable(err.Error())
	if auth != nil {
		text = strings.NewReplacer(
			auth.Password, "(token)",
			base64.StdEncoding.EncodeToString([]byte(auth.Username+":"+auth.Password)), "(token)",
		).Replace(text)
	}
	if text == err.Error() {
		return err
	}
	for _, known := range []error{transport.ErrAuthenticationRequired, transport.ErrAuthorizationFailed, transport.ErrRepositoryNotFound} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New(text)
}
