// Package speaker has images built by a BuildKit daemon, on this machine or
// another. The daemon holds nothing but its cache: bases come from a store of
// ours, and what was built comes back into it. Only gitboot-buildkit imports
// this package; protocol says what the two programs say to each other.
package speaker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/moby/buildkit/client"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// answerTime is how long a builder may take to answer when nothing is built.
const answerTime = 15 * time.Second

// Check asks whether the builder answers.
func Check(ctx context.Context, b protocol.Builder) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("it did not answer within %s", answerTime))
	defer cancel()
	c, err := connect(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err = knock(ctx, b); err == nil {
		_, err = c.Info(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return tidy(err)
}

// prefixes are what the client says before it comes to what is wrong.
var prefixes = []string{"failed to solve: ", "failed to call info: ", "Unavailable: ", "Unknown: ", "connection error: ", "desc = ", `"transport: `}

// tidy takes out of a client's error what tells a user nothing.
func tidy(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, p := range prefixes {
		var found bool
		if text, found = strings.CutPrefix(text, p); found && p[0] == '"' {
			text = strings.TrimSuffix(text, `"`)
		}
	}
	return errors.New(text)
}

// connect prepares a connection, which is made when it is first used.
func connect(ctx context.Context, b protocol.Builder) (*client.Client, error) {
	opts := []client.ClientOpt{client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx, b) })}
	if b.CA != "" {
		config, err := tlsConfig(b)
		if err != nil {
			return nil, err
		}
		opts = append(opts, client.WithServerConfig(config.ServerName, b.CA))
	}
	if b.Cert != "" {
		opts = append(opts, client.WithCredentials(b.Cert, b.Key))
	}
	return client.New(ctx, b.Address, opts...)
}
