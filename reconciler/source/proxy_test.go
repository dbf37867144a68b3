package source

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skeema/knownhosts"

	"github.com/gitboot/gitboot/internal/proxy"
)

// newProxy passes each tunnel that is asked for on to one server.
func newProxy(t *testing.T, to string) (url string, tunnels *atomic.Int64) {
	t.Helper()
	tunnels = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user := r.Header.Get("Proxy-Authorization"); r.Method != http.MethodConnect || user != "Basic YWRhOnMzY3JldA==" {
			w.WriteHeader(http.StatusProxyAuthRequired)
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

// TestFollowThroughProxy follows servers that only the proxy finds.
func TestFollowThroughProxy(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, r *repo) (o Options, to string){
		"https": func(t *testing.T, r *repo) (Options, string) {
			server := newHTTPSServer(t, r)
			o := server.options(t, r)
			o.URL = strings.Replace(o.URL, server.Listener.Addr().String(), "example.com", 1)
			return o, server.Listener.Addr().String()
		},
		"ssh": func(t *testing.T, r *repo) (Options, string) {
			key, pub := newKey(t, "client")
			server := newSSHServer(t, pub)
			o := server.options(t, r, key)
			o.URL = strings.Replace(o.URL, server.addr, "git.example", 1)
			writeFile(t, o.KnownHostsFile, knownhosts.Line([]string{"git.example"}, server.hostKey)+"\n")
			return o, server.addr
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			o, to := make(t, r)
			url, tunnels := newProxy(t, to)
			o.Proxy = proxy.Settings{URL: url}
			follow(t, r, o)
			if tunnels.Load() == 0 {
				t.Error("the proxy was not asked")
			}
			o.Proxy.URL = strings.Replace(url, "s3cret", "wr0ng", 1)
			if _, err := open(t, o).Remote(t.Context()); err == nil || strings.Contains(err.Error(), "wr0ng") || strings.Contains(err.Error(), "\n") {
				t.Errorf("a wrong password: %v", err)
			} else {
				t.Log(err)
			}
			o.Proxy = proxy.Settings{File: o.KnownHostsFile + ".none"}
			if _, err := open(t, o).Remote(t.Context()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("no file: %v", err)
			}
		})
	}
}
