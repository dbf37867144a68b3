package source

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A meter counts what goes through a listener's connections.
type meter struct {
	net.Listener
	conns, in, out atomic.Int64
}

func (m *meter) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err == nil {
		m.conns.Add(1)
	}
	return &meteredConn{conn, m}, err
}

type meteredConn struct {
	net.Conn
	m *meter
}

func (c *meteredConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.m.in.Add(int64(n))
	return n, err
}

func (c *meteredConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.m.out.Add(int64(n))
	return n, err
}

// TestIdleLook looks at a server that has nothing new: that is one request, and a
// TLS session that is resumed.
func TestIdleLook(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	s := newHTTPSServer(t, r)
	var requests, resumed atomic.Int64
	m := &meter{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		requests.Add(1)
		if req.TLS.DidResume {
			resumed.Add(1)
		}
		s.ServeHTTP(w, req)
	}))
	m.Listener = s.Listener
	s.Listener = m
	s.StartTLS()
	t.Cleanup(s.Close)
	o := s.options(t, r)
	open(t, o).mustFetch(t, "")
	look := func(name string) (in, out int64) {
		t.Helper()
		requests.Store(0)
		resumed.Store(0)
		conns, in, out := m.conns.Load(), m.in.Load(), m.out.Load()
		open(t, o).mustFetch(t, tip)
		in, out = m.in.Load()-in, m.out.Load()-out
		t.Logf("%s: %d request, %d connection, %d bytes to the server and %d from it", name, requests.Load(), m.conns.Load()-conns, in, out)
		if requests.Load() != 1 {
			t.Errorf("%s: %d requests", name, requests.Load())
		}
		return in, out
	}
	_, whole := look("each for itself")
	o.Sessions = tls.NewLRUClientSessionCache(0)
	look("the first")
	if _, less := look("the next"); resumed.Load() != 1 || less >= whole {
		t.Errorf("the session was not resumed: %d bytes, %d before", less, whole)
	}
}
