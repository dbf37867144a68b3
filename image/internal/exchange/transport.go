// Package exchange exchanges requests with servers that may be slow, silent, gone or
// lying: how patient to be, what a failure means, and whether to try again.
package exchange

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"
)

// A Transport is what every request of an endpoint goes through, those of
// logging in and those after a redirect too.
type Transport struct {
	Plain bool // plain HTTP is allowed
	inner *http.Transport
}

// ErrPlainHTTP refuses what go-containerregistry would do by itself for
// localhost and private addresses.
var ErrPlainHTTP = errors.New("plain HTTP is not allowed")

// NewTransport allows plain HTTP and certificates that nobody vouches for, if
// that is meant.
func NewTransport(plain, unverified bool) *Transport {
	// HTTP/1.1: a connection for each blob, so that one which is slow to be
	// read never holds up another, and closing one cuts it.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Transport{plain, &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: unverified, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		IdleConnTimeout:     20 * time.Second,
		MaxIdleConnsPerHost: 8,
		ReadBufferSize:      64 << 10,
		Protocols:           protocols,
		// A blob's bytes are wanted as they are stored.
		DisableCompression: true,
	}}
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
