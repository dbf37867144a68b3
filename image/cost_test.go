package image

import (
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A meter counts what goes over the connections that a server accepts.
type meter struct {
	net.Listener
	connections, in, out atomic.Int64
}

func (m *meter) Accept() (net.Conn, error) {
	conn, err := m.Listener.Accept()
	if err == nil {
		m.connections.Add(1)
	}
	return metered{conn, m}, err
}

type metered struct {
	net.Conn
	*meter
}

func (c metered) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c metered) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// meteredTLS serves a handler over HTTPS.
func meteredTLS(t *testing.T, handler http.Handler) (s *httptest.Server, m *meter) {
	t.Helper()
	s = httptest.NewUnstartedServer(handler)
	m = &meter{Listener: s.Listener}
	s.Listener = m
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, m
}

// TestCostOfLookups bounds what it takes to find nothing new: lookups at one
// registry share a connection, and each asks twice, of whom it is asking and for
// the tag's digest.
func TestCostOfLookups(t *testing.T) {
	w, _, _, _ := pushed(t)
	server, m := meteredTLS(t, w)
	host := m.Addr().String()
	o := secure()
	o.Connections = &Connections{}
	look := func() (in, out, requests int64) {
		w.broken(nil)
		beforeIn, beforeOut := m.in.Load(), m.out.Load()
		_, err := Resolve(t.Context(), host+"/app:1", o)
		check(t, err)
		return m.in.Load() - beforeIn, m.out.Load() - beforeOut, int64(len(w.seen))
	}
	in, out, requests := look()
	t.Logf("first: %d requests, %d bytes to the registry, %d back", requests, in, out)
	if requests != 2 || in > 3000 || out > 4000 {
		t.Error("the first lookup costs more than it did")
	}
	in, out, requests = look()
	t.Logf("later: %d requests, %d bytes to the registry, %d back", requests, in, out)
	if requests != 2 || in > 1000 || out > 1000 {
		t.Error("a lookup costs more than it did")
	}
	if n := m.connections.Load(); n != 1 {
		t.Errorf("two lookups took %d connections", n)
	}
	server.CloseClientConnections() // as after some idle seconds
	in, out, requests = look()
	t.Logf("connected again: %d requests, %d bytes to the registry, %d back", requests, in, out)
	if requests != 2 || in > 3000 || out > 2000 || m.connections.Load() != 2 {
		t.Errorf("the session is not resumed, over %d connections", m.connections.Load())
	}
}
