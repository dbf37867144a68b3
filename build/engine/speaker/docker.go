package speaker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/entitlements"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// A docker daemon has a BuildKit in it. It is reached through the daemon's API:
// a request to /grpc or /session is answered with 101, and the connection
// becomes one to BuildKit. The steps use this machine's network, as with the
// other engines, whether the daemon has a network of its own or not.

// inDocker prepares a connection to the BuildKit in a docker daemon.
func inDocker(ctx context.Context, b protocol.Builder) (*client.Client, error) {
	return client.New(ctx, "",
		client.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return upgrade(ctx, b, "/grpc", "h2c", nil)
		}),
		client.WithSessionDialer(func(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
			return upgrade(ctx, b, "/session", proto, meta)
		}))
}

// upgrade turns a request into a connection.
func upgrade(ctx context.Context, b protocol.Builder, path, proto string, meta http.Header) (_ net.Conn, err error) {
	conn, err := dial(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("ask the docker daemon for its builder: %w", err), conn.Close())
		}
	}()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://docker"+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range meta {
		r.Header[name] = values
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", proto)
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
		return nil, fmt.Errorf("it answers %s: %s", answer.Status, text)
	}
	return &readAhead{conn, in}, nil
}

// readAhead is a connection of which something was read already.
type readAhead struct {
	net.Conn
	in *bufio.Reader
}

func (c *readAhead) Read(p []byte) (int, error) { return c.in.Read(p) }

// dockerOpt says the request in the words of a docker daemon's BuildKit, which
// can neither read a store of ours nor write to it.
func dockerOpt(r protocol.Request, opt *client.SolveOpt) {
	opt.Exports = []client.ExportEntry{{Type: "moby", Attrs: map[string]string{"name": r.Docker.Name}}}
	if r.Docker.Base != "" {
		opt.FrontendAttrs["build-arg:"+r.BaseArg] = r.Docker.Base
	}
	opt.FrontendAttrs["force-network-mode"] = "host"
	opt.AllowedEntitlements = []string{entitlements.EntitlementNetworkHost.String()}
}
