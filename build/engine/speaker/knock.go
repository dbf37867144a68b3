package speaker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/gitboot/gitboot/build/engine/speaker/protocol"
)

// knock looks whether somebody listens, and whether we trust each other. What
// it says of that is plainer than what comes through the client, which hears of
// a refused certificate or of a closed connection, as it happens.
func knock(ctx context.Context, b protocol.Builder) (err error) {
	conn, err := dial(ctx, b)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if b.CA == "" {
		return nil
	}
	config, err := tlsConfig(b)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	t := tls.Client(conn, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	// The builder speaks first. It is now that it refuses our certificate.
	_, err = t.Read(make([]byte, 1))
	return err
}

func dial(ctx context.Context, b protocol.Builder) (net.Conn, error) {
	network, address, err := b.Endpoint()
	if err != nil {
		return nil, err
	}
	var d net.Dialer // a dead connection is noticed by TCP's keep-alive
	return d.DialContext(ctx, network, address)
}

func tlsConfig(b protocol.Builder) (*tls.Config, error) {
	_, address, err := b.Endpoint()
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(b.CA)
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	config := &tls.Config{ServerName: host, RootCAs: x509.NewCertPool(), NextProtos: []string{"h2"}}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read the authority's certificate: %s holds none in the form PEM", b.CA)
	}
	if b.Cert != "" {
		pair, err := tls.LoadX509KeyPair(b.Cert, b.Key)
		if err != nil {
			return nil, fmt.Errorf("read our certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}
