package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/gitboot/gitboot/agent/listen"
	"github.com/gitboot/gitboot/reconciler/event"
)

// maxAnswer bounds what is read of an agent that is not itself.
const maxAnswer = 64 << 20

// An AbsentError says that no agent listens.
type AbsentError struct {
	Path string
	Err  error
}

func (e *AbsentError) Error() string {
	if errors.Is(e.Err, syscall.EACCES) {
		return fmt.Sprintf("the agent's socket %s is for root and the group %s: run as root, or become a member", e.Path, listen.Group)
	}
	return fmt.Sprintf("no agent is running: nothing listens on %s; start it with `systemctl start gitboot`, or `gitboot agent`", e.Path)
}

func (e *AbsentError) Unwrap() error { return e.Err }

// A Client speaks to an agent of this machine.
type Client struct {
	path string
	http *http.Client
}

// NewClient is a client of the agent that listens at a path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks what is staged and what the agent does.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	body, err := c.do(ctx, http.MethodGet, "/v1/status", nil)
	if err != nil {
		return s, err
	}
	defer body.Close()
	return s, c.read(body, &s)
}

// Watch gives what is staged and what the agent does to take, now and whenever it
// has changed, until ctx ends or take fails.
func (c *Client) Watch(ctx context.Context, take func(Status) error) error {
	return follow(ctx, c, "/v1/status?follow", take)
}

// Reconcile has the agent look at the config repo now and, with wait, returns when
// nothing is left to do: with what failed of it.
func (c *Client) Reconcile(ctx context.Context, req ReconcileRequest) error {
	return c.post(ctx, "/v1/reconcile", req, nil)
}

// Do has the agent execute one of its operations.
func (c *Client) Do(ctx context.Context, operation string, request, result any) error {
	return c.post(ctx, "/v1/do/"+url.PathEscape(operation), request, result)
}

// Events gives each event after since to take, until there are no more.
func (c *Client) Events(ctx context.Context, since uint64, take func(event.Event) error) error {
	body, err := c.do(ctx, http.MethodGet, eventsPath(since), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for in := json.NewDecoder(body); ; {
		var e event.Event
		if err := in.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read what the agent at %s answers: %w", c.path, err)
		}
		if err := take(e); err != nil {
			return err
		}
	}
}

// FollowEvents gives each event after since to take, also those that come, until
// ctx ends or take fails.
func (c *Client) FollowEvents(ctx context.Context, since uint64, take func(event.Event) error) error {
	return follow(ctx, c, eventsPath(since)+"&follow", take)
}

func eventsPath(since uint64) string {
	return "/v1/events?since=" + strconv.FormatUint(since, 10)
}

// follow gives what an agent sends line by line to take.
func follow[T any](ctx context.Context, c *Client, path string, take func(T) error) error {
	body, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	for in := json.NewDecoder(body); ; {
		var next T
		switch err := in.Decode(&next); {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("listen to the agent at %s: %w; it has ended", c.path, err)
		}
		if err := take(next); err != nil {
			return err
		}
	}
}

func (c *Client) post(ctx context.Context, path string, request, result any) error {
	body, err := c.do(ctx, http.MethodPost, path, request)
	if err != nil {
		return err
	}
	defer body.Close()
	var a Answer
	if err := c.read(body, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	if result == nil || a.Result == nil {
		return nil
	}
	return json.Unmarshal(a.Result, result)
}

func (c *Client) do(ctx context.Context, method, path string, request any) (io.ReadCloser, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "dial" {
			return nil, &AbsentError{c.path, op.Err}
		}
		return nil, fmt.Errorf("ask the agent at %s: %w", c.path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var a Answer
	if err := c.read(resp.Body, &a); err != nil || a.Error == "" {
		return nil, fmt.Errorf("ask the agent at %s: it answers %s; it may be of another version", c.path, resp.Status)
	}
	return nil, errors.New(a.Error)
}

func (c *Client) read(body io.Reader, into any) error {
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read what the agent at %s answers: %w", c.path, err)
	}
	return nil
}
