// Package exchange exchanges requests with servers that may be slow, silent, gone or
// lying: how patient to be, what a failure means, and whether to try again.
package exchange

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gitboot/gitboot/internal/proxy"
)

// Connections are those to all servers that are spoken with. What is idle is
// used again for the same server by whoever shares them, for some seconds.
type Connections struct {
	// Proxy is the one through which servers are reached.
	Proxy proxy.Settings

	mu         sync.Mutex
	transports map[protection]*Transport
}

// A protection is what a connection does without.
type protection struct{ plain, unverified bool }

// Transport allows plain HTTP and certificates that nobody vouches for, if that
// is meant.
func (c *Connections) Transport(plain, unverified bool) (*Transport, error) {
	if _, err := c.Proxy.HTTP(); err != nil { // it is asked for each time, and would be again and again
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	which := protection{plain, unverified}
	t := c.transports[which]
	if t == nil {
		if c.transports == nil {
			c.transports = map[protection]*Transport{}
		}
		t = newTransport(which, c.Proxy)
		c.transports[which] = t
	}
	return t, nil
}

// A Transport is what every request of an endpoint goes through, those of
// logging in and those after a redirect too.
type Transport struct {
	Plain bool // plain HTTP is allowed
	inner http.RoundTripper
}

// sessions is how many servers' are remembered, of some KB each.
const sessions = 16

// ErrPlainHTTP refuses what go-containerregistry would do by itself for
// localhost and private addresses.
var ErrPlainHTTP = errors.New("plain HTTP is not allowed")

func newTransport(p protection, by proxy.Settings) *Transport {
	t := direct(p.unverified, 15*time.Second)
	// Its file is read anew, whenever that may have changed.
	t.Proxy = func(req *http.Request) (*url.URL, error) {
		choose, err := by.HTTP()
		if err != nil {
			return nil, err
		}
		return choose(req)
	}
	t.OnProxyConnectResponse = func(_ context.Context, by *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		return &ProxyError{by.Host, answer.StatusCode}
	}
	return &Transport{p.plain, t}
}

// direct reaches servers through no proxy, and gives up connecting after some time.
func direct(unverified bool, connecting time.Duration) *http.Transport {
	// HTTP/1.1: a connection for each blob, so that one which is slow to be
	// read never holds up another, and closing one cuts it.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: (&net.Dialer{Timeout: connecting, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: unverified, MinVersion: tls.VersionTLS12,
			// A later connection takes a server a fraction of the first one's work.
			ClientSessionCache: tls.NewLRUClientSessionCache(sessions)},
		TLSHandshakeTimeout: connecting,
		IdleConnTimeout:     20 * time.Second,
		MaxIdleConnsPerHost: 8,
		ReadBufferSize:      64 << 10,
		Protocols:           protocols,
		// A blob's bytes are wanted as they are stored.
		DisableCompression: true,
	}
}

// RoundTrip turns the answers that mean "later" into errors, so that they are
// treated alike wherever they come, in the midst of logging in too.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !t.Plain {
		return nil, ErrPlainHTTP
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if PassingStatus(resp.StatusCode) {
		defer resp.Body.Close()
		return nil, NewStatusError(resp)
	}
	return resp, nil
}
