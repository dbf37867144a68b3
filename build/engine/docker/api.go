package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/gitboot/gitboot/build/engine/oci"
	"github.com/gitboot/gitboot/internal/plain"
)

// An api is the HTTP interface of a docker daemon
// (https://docs.docker.com/reference/api/engine/), of the version that the
// daemon has. What is used of it is in each since 1.39.
type api struct{ client *http.Client }

func (d *Engine) api() api {
	return api{&http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", d.socket)
		},
	}}}
}

// A refusal is what a daemon will not do, and why.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string {
	return fmt.Sprintf("the docker daemon answers %d: %s", e.status, e.text)
}

// isAbsent tells whether the daemon does not have what it was asked for.
func isAbsent(err error) bool {
	refused := (*refusal)(nil)
	return errors.As(err, &refused) && refused.status == http.StatusNotFound
}

// open sends a request and returns the body of the answer.
func (a api) open(ctx context.Context, method, path string, body io.Reader) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/x-tar")
	}
	answer, err := a.client.Do(r)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Unwrap(err) // without the address, which is not one
	}
	if answer.StatusCode < 300 {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	var said struct{ Message string }
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if json.Unmarshal(text, &said) != nil {
		said.Message = string(text)
	}
	return nil, errors.Join(&refusal{answer.StatusCode, plain.Line(said.Message)}, err)
}

// call sends a request and reads the answer into v, unless that is nil.
func (a api) call(ctx context.Context, method, path string, body io.Reader, v any) (err error) {
	in, err := a.open(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if v == nil {
		_, err = io.Copy(io.Discard, in)
		return err
	}
	return json.NewDecoder(io.LimitReader(in, oci.MaxDocument)).Decode(v)
}
