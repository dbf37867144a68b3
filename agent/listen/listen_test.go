package listen_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gitboot/gitboot/agent/listen"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		options listen.Options
		want    string
	}{
		{listen.Options{Address: "127.0.0.1:8373"}, ""},
		{listen.Options{Address: "127.1.2.3:1"}, ""},
		{listen.Options{Address: "[::1]:8373"}, ""},
		{listen.Options{Address: "unix:///run/gitboot/page.sock"}, ""},
		{listen.Options{Address: "0.0.0.0:8373"}, "can be reached from other machines"},
		{listen.Options{Address: "[::]:8373"}, "can be reached from other machines"},
		{listen.Options{Address: "[::ffff:10.0.0.1]:8373"}, "can be reached from other machines"},
		{listen.Options{Address: "10.0.0.1:8373", Insecure: true}, ""},
		{listen.Options{Address: "10.0.0.1:8373", Cert: "/c", Key: "/k"}, ""},
		{listen.Options{Address: "10.0.0.1:8373", Cert: "/c"}, "belong together"},
		{listen.Options{Address: "10.0.0.1:8373", Insecure: true, Local: true}, "ssh -L"},
		{listen.Options{Address: "[::1]:8373", Local: true}, ""},
		{listen.Options{Address: ":8373"}, "neither"},
		{listen.Options{Address: "localhost:8373"}, "neither"},
		{listen.Options{Address: "[fe80::1%eth0]:8373", Insecure: true}, "neither"},
		{listen.Options{Address: "127.0.0.1"}, "neither"},
		{listen.Options{Address: ""}, "neither"},
		{listen.Options{Address: "unix://run/page.sock"}, "three slashes"},
		{listen.Options{Address: "unix:///run/../page.sock"}, "three slashes"},
		{listen.Options{Address: "unix:///" + strings.Repeat("x", 100)}, "too long"},
	} {
		err := c.options.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.options, err)
		}
	}
}

// hello answers with who it is.
func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

// serve serves until the test ends, and waits for the end.
func serve(t *testing.T, l net.Listener) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- listen.Serve(ctx, l, 4, http.HandlerFunc(hello)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A socket is the owner's alone, or the group's; the one that a process left
// behind is replaced, anything else is not; and none stays.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "page.sock")
	for group, mode := range map[string]fs.FileMode{"": 0o600, "no-such-group": 0o600, "root": 0o660} {
		l, err := listen.Options{Address: "unix://" + path, Group: group}.Open()
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("group %q: %v, %v", group, info.Mode(), err)
		}
		over, err := listen.Options{Address: "unix://" + path}.Open() // as after a crash
		if err != nil {
			t.Fatal(err)
		}
		if err := over.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (listen.Options{Address: "unix://" + path}).Open(); err == nil || !strings.Contains(err.Error(), "something else is there") {
		t.Errorf("over a file: %v", err)
	}
}

// writePair makes a certificate that vouches for itself.
func writePair(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"here"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// A certificate that is renewed holds from the next connection on; one that is
// half written changes nothing.
func TestRenewedCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := writePair(t, dir, 1)
	l, err := listen.Options{Address: "127.0.0.1:0", Cert: cert, Key: key}.Open()
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l)
	serial := func() int64 {
		c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	writePair(t, dir, 2)
	later := time.Now().Add(time.Minute)
	if err := errors.Join(os.Chtimes(cert, later, later), os.Chtimes(key, later, later)); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("after the renewal certificate %d", n)
	}
	if err := os.WriteFile(cert, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 2 {
		t.Errorf("while another is written certificate %d", n)
	}
	if _, err := (listen.Options{Address: "127.0.0.1:0", Cert: cert, Key: key}).Open(); err == nil {
		t.Error("an empty certificate is taken at the start")
	}
}

// pipes are connections of a test that has its own time.
type pipes struct{ accepted chan net.Conn }

func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error { close(p.accepted); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.accepted <- there
	return here
}

// Who says nothing, or says it slowly, loses the connection.
func TestSlow(t *testing.T) {
	for what, say := range map[string]string{
		"nothing":          "",
		"half a header":    "POST / HTTP/1.1\r\nHost: a\r\nX-A: ",
		"half a body":      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
		"no second":        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"a large header":   "GET / HTTP/1.1\r\nHost: a\r\nX-A: " + strings.Repeat("x", 64<<10),
		"something else":   "SSH-2.0-OpenSSH\r\n\r\n",
		"a smuggled first": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			p, ended := &pipes{make(chan net.Conn)}, make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				ended <- listen.Serve(ctx, p, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					_, _ = io.Copy(io.Discard, r.Body)
					hello(w, r)
				}))
			}()
			began, c := time.Now(), p.dial()
			go func() { _, _ = io.WriteString(c, say) }()
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(began); took > 71*time.Second {
				t.Errorf("%s: after %s", what, took)
			}
			c.Close()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
