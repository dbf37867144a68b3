package proxy

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"golang.org/x/net/http/httpproxy"
	socks "golang.org/x/net/proxy"
)

// maxAnswer bounds what a proxy says before it passes things on.
const maxAnswer = 16 << 10

// A DialFunc connects, as net.Dialer's DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Dial connects to what speaks another protocol than HTTP, such as SSH: with
// dial, through the proxy that the settings name. The environment's proxies are
// not for such, as they are not for ssh(1).
func (s Settings) Dial(ctx context.Context, dial DialFunc, network, addr string) (net.Conn, error) {
	choose, err := s.choose(&httpproxy.Config{NoProxy: httpproxy.FromEnvironment().NoProxy})
	if err != nil {
		return nil, err
	}
	by, err := choose(&url.URL{Scheme: "https", Host: addr})
	if err != nil || by == nil {
		return directly(ctx, dial, network, addr, err)
	}
	conn, err := through(ctx, dial, by, network, addr)
	if err != nil {
		return nil, fmt.Errorf("by way of the proxy %s://%s: %w", by.Scheme, by.Host, err)
	}
	return conn, nil
}

func directly(ctx context.Context, dial DialFunc, network, addr string, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return dial(ctx, network, addr)
}

func through(ctx context.Context, dial DialFunc, by *url.URL, network, addr string) (net.Conn, error) {
	if by.Scheme == "socks5" || by.Scheme == "socks5h" {
		return bySOCKS(ctx, dial, by, network, addr)
	}
	port := map[string]string{"http": "80", "https": "443"}[by.Scheme]
	conn, err := dial(ctx, network, net.JoinHostPort(by.Hostname(), cmp.Or(by.Port(), port)))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	tunnel := conn
	if by.Scheme == "https" {
		tunnel = tls.Client(conn, &tls.Config{ServerName: by.Hostname(), MinVersion: tls.VersionTLS12})
	}
	err = connect(tunnel, by, addr)
	if !stop() {
		err = cmp.Or(ctx.Err(), err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return tunnel, nil
}

// connect asks for a tunnel (RFC 9110, 9.3.6).
func connect(conn net.Conn, by *url.URL, addr string) error {
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
	if by.User != nil {
		password, _ := by.User.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(by.User.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return err
	}
	head, err := readHead(conn)
	if err != nil {
		return fmt.Errorf("waiting for its answer: %w", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), req)
	switch {
	case err != nil:
		return errors.New("it does not answer as a proxy does")
	case res.StatusCode == http.StatusProxyAuthRequired:
		return errors.New("it asks for another user or password (407)")
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("it does not pass %s on (%d)", addr, res.StatusCode)
	}
	return nil
}

// readHead reads up to the empty line, and nothing of what comes after it.
func readHead(conn net.Conn) ([]byte, error) {
	var head []byte
	for next := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if len(head) == maxAnswer {
			return nil, fmt.Errorf("it is longer than %d KiB", maxAnswer>>10)
		}
		n, err := conn.Read(next)
		if n == 0 && err != nil {
			return nil, err
		}
		head = append(head, next[:n]...)
	}
	return head, nil
}

// A forward dials the proxy itself.
type forward struct{ dial DialFunc }

func (f forward) Dial(network, addr string) (net.Conn, error) {
	return f.dial(context.Background(), network, addr)
}

func (f forward) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return f.dial(ctx, network, addr)
}

func bySOCKS(ctx context.Context, dial DialFunc, by *url.URL, network, addr string) (net.Conn, error) {
	var auth *socks.Auth
	if by.User != nil {
		password, _ := by.User.Password()
		auth = &socks.Auth{User: by.User.Username(), Password: password}
	}
	d, err := socks.SOCKS5("tcp", net.JoinHostPort(by.Hostname(), cmp.Or(by.Port(), "1080")), auth, forward{dial})
	if err != nil {
		return nil, err
	}
	return d.(socks.ContextDialer).DialContext(ctx, network, addr)
}
