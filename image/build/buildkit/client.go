// Package buildkit has images built by a BuildKit daemon, on this machine or
// another. The daemon holds nothing but its cache: bases come from a store of
// ours, and what was built comes back into it. Only gitboot-buildkit imports
// this package; handoff says what the two programs say to each other.
package buildkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/gitboot/gitboot/image/build/buildkit/handoff"
)

// answerTime is how long a builder may take to answer when nothing is built.
const answerTime = 15 * time.Second

// Check asks whether the builder answers.
func Check(ctx context.Context, b handoff.Builder) (err error) {
	c, err := connect(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("it did not answer within %s", answerTime))
	defer cancel()
	_, err = c.Info(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// connect prepares a connection, which is made when it is first used.
func connect(ctx context.Context, b handoff.Builder) (*client.Client, error) {
	network, address, err := b.Endpoint()
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer // a dead connection is noticed by TCP's keep-alive
		return d.DialContext(ctx, network, address)
	}
	opts := []client.ClientOpt{client.WithContextDialer(dial)}
	if b.CA != "" {
		host, _, _ := net.SplitHostPort(address) // Endpoint has looked at it
		opts = append(opts, client.WithServerConfig(host, b.CA))
	}
	if b.Cert != "" {
		opts = append(opts, client.WithCredentials(b.Cert, b.Key))
	}
	return client.New(ctx, b.Address, opts...)
}
