// Package proxy says through which proxy a server is reached: the one that
// agent.toml names, else the one of the environment (HTTP_PROXY, HTTPS_PROXY,
// NO_PROXY, in either case of letters), as golang.org/x/net/http/httpproxy reads
// them. A proxy is http://, https:// (TLS to the proxy itself) or socks5://,
// which looks names up by itself, with user and password where it asks for them.
// Neither is part of an error. What is on this machine (localhost, 127.0.0.0/8,
// ::1) is never asked for through one.
package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// maxFile bounds what is read of a file that holds a proxy's URL.
const maxFile = 4 << 10

// Settings name a proxy. The zero value is the environment's.
type Settings struct {
	// URL is the proxy's, and File one that holds it, so that a password need not
	// be where URL is; the file is read anew each time.
	URL, File string
	// Except are hosts that are reached directly: names with all below them, IP
	// addresses and prefixes, "*" for all. Empty = the environment's NO_PROXY.
	Except []string
}

// CheckURL says what is wrong with a proxy's URL. The URL is not repeated, as it
// may hold a password.
func CheckURL(s string) error {
	_, err := parse(s)
	return err
}

func parse(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("is no URL of a proxy; write http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("is of the kind %q, which is not supported; write http://, https:// or socks5://", u.Scheme)
}

// HTTP returns what an http.Transport is to have as its Proxy.
func (s Settings) HTTP() (func(*http.Request) (*url.URL, error), error) {
	choose, err := s.choose(httpproxy.FromEnvironment())
	if err != nil {
		return nil, err
	}
	return func(req *http.Request) (*url.URL, error) { return choose(req.URL) }, nil
}

// choose returns what says by which proxy a URL is reached, nil = by none.
func (s Settings) choose(env *httpproxy.Config) (func(*url.URL) (*url.URL, error), error) {
	named, err := s.named()
	if err != nil {
		return nil, err
	}
	if named != "" {
		env.HTTPProxy, env.HTTPSProxy, env.CGI = named, named, false
	}
	if len(s.Except) > 0 {
		env.NoProxy = strings.Join(s.Except, ",")
	}
	return env.ProxyFunc(), nil
}

// named is the URL that the settings name, "" for none.
func (s Settings) named() (string, error) {
	text, from := s.URL, "the proxy in agent.toml"
	if s.File != "" {
		data, err := os.ReadFile(s.File)
		if err != nil {
			return "", fmt.Errorf("reading the proxy's URL: %w", err)
		}
		if len(data) > maxFile {
			return "", fmt.Errorf("reading the proxy's URL: %s is longer than %d bytes; write the URL alone into it", s.File, maxFile)
		}
		text, from = strings.TrimSpace(string(data)), "what "+s.File+" holds"
		text = cmp.Or(text, "nothing")
	}
	if text == "" {
		return "", nil
	}
	if err := CheckURL(text); err != nil {
		return "", fmt.Errorf("%s %w", from, err)
	}
	return text, nil
}
