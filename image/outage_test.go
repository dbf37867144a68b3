package image

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/image/internal/exchange"
)

// door listens, and has each connection served.
func door(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go serve(conn)
		}
	}()
	return l.Addr().String()
}

// nameServer is asked for all names until the test ends.
func nameServer(t *testing.T, answer func(question []byte) []byte) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; server.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n]); reply != nil {
				_, _ = server.WriteTo(reply, from)
			}
		}
	}()
}

// failing answers a question with one of RFC 1035's codes (4.1.1).
func failing(code byte) func([]byte) []byte {
	return func(question []byte) []byte {
		reply := append([]byte{}, question...)
		reply[2], reply[3] = 0x81, 0x80|code
		return reply
	}
}

// TestOutages has what can be wrong with a registry, or on the way to it, told in
// one line, and soon.
func TestOutages(t *testing.T) {
	answers := func(handler http.HandlerFunc) func(*testing.T) string {
		return func(t *testing.T) string {
			s := httptest.NewTLSServer(handler)
			// Close would wait for who is held.
			t.Cleanup(func() { s.CloseClientConnections(); s.Listener.Close() })
			return s.Listener.Addr().String()
		}
	}
	speaks := func(serve func(net.Conn)) func(*testing.T) string {
		return func(t *testing.T) string { return door(t, serve) }
	}
	asks := func(answer func([]byte) []byte) func(*testing.T) string {
		return func(t *testing.T) string { nameServer(t, answer); return "registry.example" }
	}
	// Of a client that is gone a server need not hear, so the test lets go.
	release := make(chan struct{})
	defer close(release)
	hold := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-release
	}
	for what, c := range map[string]struct {
		host  func(*testing.T) string
		short string
	}{
		"down": {func(t *testing.T) string {
			l, _ := net.Listen("tcp", "127.0.0.1:0")
			l.Close()
			return l.Addr().String()
		}, "connection refused"},
		"hangs in TLS":        {speaks(func(net.Conn) {}), "the server fell silent"},
		"ends in TLS":         {speaks(func(c net.Conn) { _, _ = io.CopyN(io.Discard, c, 10); c.Close() }), "the connection was cut"},
		"speaks no TLS":       {speaks(func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); c.Close() }), "not protected"},
		"hangs at the login":  {answers(func(http.ResponseWriter, *http.Request) { <-release }), "the server fell silent"},
		"hangs in the answer": {answers(hold), "the server fell silent"},
		"a proxy says so": {answers(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>\n<b>Bad</b>\ngateway", http.StatusBadGateway)
		}), "the server answered 502 (bad gateway)"},
		"overloaded":           {answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }), "the server answered 503 (service unavailable)"},
		"name server silent":   {asks(func([]byte) []byte { return nil }), "the server fell silent"},
		"name server fails":    {asks(failing(2)), "no answer about the name registry.example"},
		"nobody knows it":      {asks(failing(3)), "no host registry.example"},
		"name server refuses":  {asks(failing(5)), "no answer about the name registry.example"},
		"the manifest is cut":  {answers(cutManifest), "the connection was cut"},
		"the manifest is html": {answers(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>welcome to the hotel") }), ""},
	} {
		t.Run(what, func(t *testing.T) {
			o := secure()
			o.Timing.Attempts, o.Timing.Idle = 2, 300*time.Millisecond
			began := time.Now()
			host := c.host(t)
			r, err := Resolve(t.Context(), host+"/app:1", o)
			if err == nil {
				_, err = Open(t.Context(), host+"/app:1", r.Digest, o)
			}
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			if got := exchange.Why(err); c.short != "" && got != c.short {
				t.Errorf("in short %q, want %q", got, c.short)
			}
			if text := err.Error(); strings.ContainsAny(text, "\n\r") || len(text) > 400 || !strings.Contains(text, host) {
				t.Errorf("not one line that names %s: %q", host, text)
			}
			if took := time.Since(began); took > 20*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func cutManifest(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"schemaVersion": 2,`)
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Docker-Content-Digest", sum(nil))
}

// TestOutageEnds finds a registry again that went away and came back, whatever
// connections were kept to it.
func TestOutageEnds(t *testing.T) {
	w, _, digest, _ := pushed(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	o := quick()
	o.Timing.Attempts, o.Connections = 1, &Connections{}
	ref := l.Addr().String() + "/app:1"
	for range 3 {
		server := &http.Server{Handler: w}
		go server.Serve(l)
		for range 2 {
			r, err := Resolve(t.Context(), ref, o)
			if err != nil || r.Digest != digest {
				t.Fatalf("%+v %v", r, err)
			}
		}
		check(t, server.Close())
		if _, err := Resolve(t.Context(), ref, o); err == nil || errors.Is(err, context.Canceled) {
			t.Fatalf("it is away: %v", err)
		}
		l, err = net.Listen("tcp", strings.TrimSuffix(ref, "/app:1"))
		check(t, err)
	}
	l.Close()
}
