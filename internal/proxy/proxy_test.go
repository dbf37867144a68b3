package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A door is a proxy, of HTTP or SOCKS, that passes all on to one server,
// whatever name it is asked for.
type door struct {
	addr  string
	asked chan string // for what it was asked
}

// open serves each connection to the proxy.
func open(t *testing.T, serve func(conn net.Conn, asked chan<- string)) door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := door{l.Addr().String(), make(chan string, 10)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn, d.asked)
			}()
		}
	}()
	return d
}

// connecting is a proxy of HTTP that wants a password.
func connecting(to string) func(net.Conn, chan<- string) {
	return func(conn net.Conn, asked chan<- string) {
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		asked <- req.Method + " " + req.Host
		if req.Header.Get("Proxy-Authorization") != "Basic YWRhOnMzY3JldA==" { // ada:s3cret
			io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
			return
		}
		// what the server says at once comes with the answer
		pass(conn, to, "HTTP/1.1 200 OK\r\n\r\n")
	}
}

// socksFor is a proxy of SOCKS 5 (RFC 1928) that wants a password (RFC 1929).
func socksFor(to string) func(net.Conn, chan<- string) {
	return func(conn net.Conn, asked chan<- string) {
		in := bufio.NewReader(conn)
		take := func(n int) string { b := make([]byte, n); io.ReadFull(in, b); return string(b) }
		methods := take(2)
		take(int(methods[1]))
		io.WriteString(conn, "\x05\x02")
		take(1)
		user := take(int(take(1)[0]))
		if password := take(int(take(1)[0])); user+":"+password != "ada:s3cret" {
			io.WriteString(conn, "\x01\x01")
			return
		}
		io.WriteString(conn, "\x01\x00")
		take(4)
		name := take(int(take(1)[0]))
		port := take(2)
		asked <- fmt.Sprintf("SOCKS %s:%d", name, int(port[0])<<8|int(port[1]))
		pass(conn, to, "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
	}
}

func pass(conn net.Conn, to, answer string) {
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	io.WriteString(conn, answer)
	go io.Copy(server, conn)
	io.Copy(conn, server)
}

// greeter is a server that speaks first, as SSH's does.
func greeter(t *testing.T) string {
	return open(t, func(conn net.Conn, _ chan<- string) { io.WriteString(conn, "SSH-2.0-x\r\n") }).addr
}

func TestDial(t *testing.T) {
	to := greeter(t)
	web, socks := open(t, connecting(to)), open(t, socksFor(to))
	plain := (&net.Dialer{}).DialContext
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // is not for ssh
	for name, c := range map[string]struct {
		s     Settings
		addr  string
		asked chan string
		want  string
	}{
		"CONNECT": {Settings{URL: "http://ada:s3cret@" + web.addr}, "git.example:22", web.asked, "CONNECT git.example:22"},
		"SOCKS":   {Settings{URL: "socks5://ada:s3cret@" + socks.addr}, "git.example:22", socks.asked, "SOCKS git.example:22"},
		"none":    {Settings{}, to, nil, ""},
		"except":  {Settings{URL: "http://" + web.addr, Except: []string{"10.0.0.0/8"}}, to, nil, ""},
	} {
		conn, err := c.s.Dial(t.Context(), plain, "tcp", c.addr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		said, err := io.ReadAll(conn)
		if err != nil || string(said) != "SSH-2.0-x\r\n" {
			t.Errorf("%s: %q, %v", name, said, err)
		}
		conn.Close()
		if c.asked != nil && <-c.asked != c.want {
			t.Errorf("%s: was not asked for %s", name, c.want)
		}
	}
}

func TestDialFails(t *testing.T) {
	plain := (&net.Dialer{}).DialContext
	refuses := open(t, connecting(""))
	babbles := open(t, func(conn net.Conn, _ chan<- string) {
		for {
			if _, err := io.WriteString(conn, "no such thing\r\n"); err != nil {
				return
			}
		}
	})
	socks := open(t, socksFor(""))
	for url, want := range map[string]string{
		"http://eve:wrong-s3cret@" + refuses.addr:  "another user or password (407)",
		"http://eve:wrong-s3cret@" + babbles.addr:  "longer than 16 KiB",
		"http://eve:wrong-s3cret@127.0.0.1:1":      "connection refused",
		"socks5://eve:wrong-s3cret@" + socks.addr:  "authentication failed",
		"socks5://eve:wrong-s3cret@127.0.0.1:1":    "connection refused",
		"https://eve:wrong-s3cret@" + refuses.addr: "eof",
	} {
		_, err := Settings{URL: url}.Dial(t.Context(), plain, "tcp", "git.example:22")
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v; want: %s", url, err, want)
		}
	}
}

// TestDialEnds asks a proxy that says nothing.
func TestDialEnds(t *testing.T) {
	silent := open(t, func(conn net.Conn, _ chan<- string) { io.Copy(io.Discard, conn) })
	for _, scheme := range []string{"http", "https", "socks5"} {
		ctx, cancel := context.WithCancel(t.Context())
		dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
			defer cancel()
			return (&net.Dialer{}).DialContext(context.WithoutCancel(ctx), network, addr)
		}
		if _, err := (Settings{URL: scheme + "://" + silent.addr}).Dial(ctx, dial, "tcp", "git.example:22"); err == nil {
			t.Errorf("%s: connected", scheme)
		}
	}
}

func TestHTTP(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer server.Close()
	web := open(t, connecting(server.Listener.Addr().String()))
	url := "http://ada:s3cret@" + web.addr
	file := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		s   Settings
		env string
	}{"named": {Settings{URL: url}, "http://127.0.0.1:1"}, "in a file": {Settings{File: file}, ""}, "environment": {Settings{}, url}} {
		t.Setenv("HTTPS_PROXY", c.env)
		by, err := c.s.HTTP()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		transport := server.Client().Transport.(*http.Transport).Clone()
		transport.Proxy, transport.DialContext = by, nil
		res, err := (&http.Client{Transport: transport}).Get("https://example.com/x")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if body, _ := io.ReadAll(res.Body); string(body) != "hello" {
			t.Errorf("%s: %q", name, body)
		}
		res.Body.Close()
		if got := <-web.asked; got != "CONNECT example.com:443" {
			t.Errorf("%s: asked for %s", name, got)
		}
		transport.CloseIdleConnections()
	}
}

func TestExcept(t *testing.T) {
	t.Setenv("NO_PROXY", "env.example")
	for name, c := range map[string]struct {
		except []string
		direct bool
	}{"env.example": {nil, true}, "git.example": {nil, false}, "a.lan": {[]string{"lan"}, true}, "env.example:2": {[]string{"lan"}, false}, "localhost": {nil, true}} {
		choose, err := Settings{URL: "socks5://proxy.example:1", Except: c.except}.HTTP()
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodGet, "https://"+name+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if by, err := choose(req); err != nil || (by == nil) != c.direct {
			t.Errorf("%s: by %v, %v", name, by, err)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"http://a:3128", "https://u:p@a", "socks5://[::1]:1080", "socks5h://a/"} {
		if err := CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	file := filepath.Join(t.TempDir(), "proxy")
	for _, bad := range []string{"", "a:3128", "http://", "ftp://s3cret@a", "http://a/s3cret", "http://u:s3cret@a:x"} {
		if err := os.WriteFile(file, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Settings{File: file}.HTTP()
		for _, err := range []error{CheckURL(bad), err} {
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: %v", bad, err)
			}
		}
	}
}
