package image

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/internal/proxy"
)

// newProxy passes the tunnels to example.com that are asked for with the right
// password on to one server, and counts them.
func newProxy(t *testing.T, to string) (address string, tunnels *atomic.Int64) {
	t.Helper()
	tunnels = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Proxy-Authorization") != "Basic YWRhOnMzY3JldA==":
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		case r.Method != http.MethodConnect || r.Host != "example.com:443":
			w.WriteHeader(http.StatusForbidden)
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		tunnels.Add(1)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(server, conn)
		io.Copy(conn, server)
	}))
	t.Cleanup(s.Close)
	return "http://ada:s3cret@" + s.Listener.Addr().String(), tunnels
}

func through(settings proxy.Settings) Options {
	o := secure()
	o.Connections = &Connections{Proxy: settings}
	return o
}

// TestThroughProxy pulls from a registry, and downloads from a server, that only
// the proxy finds.
func TestThroughProxy(t *testing.T) {
	w, _, digest, content := pushed(t)
	address, tunnels := newProxy(t, w.overTLS(t))
	o := through(proxy.Settings{URL: address})
	for range 3 {
		r, err := Resolve(t.Context(), "example.com/app:1", o)
		check(t, err)
		if r.Digest != digest {
			t.Errorf("%+v", r)
		}
	}
	if n := tunnels.Load(); n != 1 {
		t.Errorf("three lookups took %d connections", n)
	}
	got, err := pull("example.com/app:1", digest, o)
	check(t, err)
	if string(got[0]) != string(content) {
		t.Error("other content")
	}
	before := tunnels.Load()
	t.Setenv("HTTPS_PROXY", address)
	if _, err := Resolve(t.Context(), "example.com/app:1", secure()); err != nil || tunnels.Load() == before {
		t.Errorf("the environment's: %d tunnels, %v", tunnels.Load()-before, err)
	}

	file := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }))
	t.Cleanup(file.Close)
	address, tunnels = newProxy(t, file.Listener.Addr().String())
	o = through(proxy.Settings{URL: address})
	o.CacheDir = t.TempDir()
	img, err := OpenArchive(t.Context(), ArchivePlace{URL: "https://example.com/root.tar", SHA256: strings.TrimPrefix(sum(content), "sha256:")}, o)
	if err != nil || len(img.Layers) != 1 || tunnels.Load() != 1 {
		t.Errorf("%+v, %d tunnels: %v", img, tunnels.Load(), err)
	}
}

// TestProxyFails says that it is the proxy, and no password.
func TestProxyFails(t *testing.T) {
	address, _ := newProxy(t, "127.0.0.1:1")
	host := address[strings.Index(address, "@")+1:]
	gone := httptest.NewServer(nil)
	gone.Close()
	missing := filepath.Join(t.TempDir(), "proxy")
	for what, c := range map[string]struct {
		settings   proxy.Settings
		ref        string
		short, say string
	}{
		"wrong password":      {proxy.Settings{URL: strings.Replace(address, "s3cret", "wr0ng", 1)}, "example.com/app:1", "the proxy answered 407", "the proxy " + host + " answered 407; write user and password"},
		"it may not":          {proxy.Settings{URL: address}, "registry.example/app:1", "the proxy answered 403", "name in no_proxy"},
		"it cannot":           {proxy.Settings{URL: address}, "example.com/app:1", "the proxy answered 502", "after 3 attempts: ask example.com/app for tag 1: the proxy " + host + " answered 502; it cannot reach the server"},
		"it is gone":          {proxy.Settings{URL: gone.URL}, "example.com/app:1", "the proxy cannot be reached", "proxyconnect tcp"},
		"it has no address":   {proxy.Settings{URL: "http://proxy.invalid:3128"}, "example.com/app:1", "the proxy cannot be reached", "proxy.invalid"},
		"its file is missing": {proxy.Settings{File: missing}, "example.com/app:1", "", "reading the proxy's URL: open " + missing},
	} {
		_, err := Resolve(t.Context(), c.ref, through(c.settings))
		if err == nil {
			t.Errorf("%s: no error", what)
			continue
		}
		t.Log(err)
		wantWords(t, err, c.say)
		if got := exchange.Why(err); c.short != "" && got != c.short {
			t.Errorf("%s: in short %q", what, got)
		}
		for _, secret := range []string{"s3cret", "wr0ng", "YWRh"} {
			if strings.Contains(fmt.Sprintf("%+v", err), secret) {
				t.Errorf("%s: a password is shown", what)
			}
		}
	}
	// A file that comes later is read then.
	w, _, digest, _ := pushed(t)
	right, _ := newProxy(t, w.overTLS(t))
	o := through(proxy.Settings{File: missing})
	check(t, os.WriteFile(missing, []byte(right+"\n"), 0o600))
	r, err := Resolve(t.Context(), "example.com/app:1", o)
	check(t, err)
	if r.Digest != digest {
		t.Errorf("%+v", r)
	}
}
