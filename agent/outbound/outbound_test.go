package outbound

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/internal/proxy"
)

// quick is a client that hardly pauses.
func quick() Client {
	c := New(proxy.Settings{}, "")
	c.First, c.Most = time.Millisecond, 2*time.Millisecond
	return c
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// server gives one answer after another, the last one for ever.
func server(t *testing.T, answers ...func(http.ResponseWriter)) (url string, asked *[]*http.Request) {
	t.Helper()
	asked = new([]*http.Request)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		*asked = append(*asked, r)
		answers[min(len(*asked), len(answers))-1](w)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/secret-topic", asked
}

func status(code int, header ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, "it says\n\x1b[31mso")
	}
}

// What a server does not take for now is sent again, what it refuses is not.
func TestSend(t *testing.T) {
	for what, c := range map[string]struct {
		answers []func(http.ResponseWriter)
		asked   int
		err     string
	}{
		"taken":            {[]func(http.ResponseWriter){status(201)}, 1, ""},
		"broken, then not": {[]func(http.ResponseWriter){status(500), status(502), status(200)}, 3, ""},
		"too many":         {[]func(http.ResponseWriter){status(429, "Retry-After", "0"), status(204)}, 2, ""},
		"over its limit":   {[]func(http.ResponseWriter){status(403, "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", fmt.Sprint(time.Now().Unix()+2)), status(200)}, 2, ""},
		"refused":          {[]func(http.ResponseWriter){status(403)}, 1, "answers 403 Forbidden: it says so"},
		"unknown":          {[]func(http.ResponseWriter){status(404)}, 1, "answers 404 Not Found"},
		"moved":            {[]func(http.ResponseWriter){status(302, "Location", "http://elsewhere.invalid/")}, 1, "write its new address"},
	} {
		url, asked := server(t, c.answers...)
		err := quick().Send(t.Context(), Document{URL: url, Header: http.Header{"X-One": {"1"}}, Body: []byte("body")})
		if len(*asked) != c.asked || (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: asked %d times: %v", what, len(*asked), err)
		}
		for _, r := range *asked {
			if body, _ := io.ReadAll(r.Body); string(body) != "body" || r.Method != "POST" || r.Header.Get("X-One") != "1" || r.Header.Get("Authorization") != "" {
				t.Errorf("%s: %s %v %q", what, r.Method, r.Header, body)
			}
		}
	}
}

// How long a server wants to be left alone is heeded, within an hour.
func TestWait(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c := quick()
	c.Now = func() time.Time { return now }
	for _, w := range []struct {
		name, value, remaining string
		want                   time.Duration
	}{
		{"Retry-After", "7", "", 7 * time.Second},
		{"Retry-After", now.Add(time.Minute).Format(http.TimeFormat), "", time.Minute},
		{"Retry-After", "99999999", "", time.Hour},
		{"Retry-After", "-5", "", 0},
		{"X-Ratelimit-Reset", fmt.Sprint(now.Add(time.Minute).Unix()), "0", time.Minute},
		{"X-Ratelimit-Reset", fmt.Sprint(now.Add(time.Minute).Unix()), "12", 0},
		{"Retry-After", "soon", "", 0},
	} {
		h := http.Header{}
		h.Set(w.name, w.value)
		h.Set("X-Ratelimit-Remaining", w.remaining)
		if got := c.wait(h); got != w.want {
			t.Errorf("%s %s: %s", w.name, w.value, got)
		}
	}
}

// A server that is away is tried until it is given up, or nobody wants it any
// more; neither the address nor the token is in the error.
func TestAway(t *testing.T) {
	url, _ := server(t, status(503))
	doc := Document{URL: url, Header: http.Header{}, TokenFile: write(t, "token", "sesame\n"), Authorize: func(h http.Header, token string) { h.Set("Authorization", token) }}
	c := quick()
	c.Give = 20 * time.Millisecond
	err := c.Send(t.Context(), doc)
	if err == nil || !strings.Contains(err.Error(), "given up") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sesame") {
		t.Error(err)
	}
	doc.URL = "http://127.0.0.1:1/secret-topic"
	if err = c.Send(t.Context(), doc); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1: ") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	c.Give, c.First = time.Hour, time.Hour
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stop() }))
	defer s.Close()
	doc.URL = s.URL
	if err := c.Send(ctx, doc); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A server that says nothing, or goes on saying something, is one that is away, and
// its answer is what it began with.
func TestEndlessAnswers(t *testing.T) {
	c := quick()
	c.Each, c.Give = 100*time.Millisecond, 0
	for what, answer := range map[string]func(http.ResponseWriter, *http.Request){
		"silence":     func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"without end": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503); endless(w) },
		"endless heads": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			w.WriteHeader(201)
		},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			answer(w, r)
		}))
		err := c.Send(t.Context(), Document{URL: s.URL, Header: http.Header{}})
		if err == nil || !strings.Contains(err.Error(), "given up") || len(err.Error()) > 1000 {
			t.Errorf("%s: %v", what, err)
		}
		s.CloseClientConnections()
		s.Close()
	}
}

func endless(w io.Writer) {
	for {
		if _, err := w.Write(make([]byte, 1<<16)); err != nil {
			return
		}
	}
}

// A token is one word of a file, and read anew each time.
func TestToken(t *testing.T) {
	url, asked := server(t, status(200))
	path := write(t, "token", " one\n")
	doc := Document{URL: url, Header: http.Header{}, TokenFile: path, Authorize: func(h http.Header, token string) { h.Set("Authorization", "Bearer "+token) }}
	if err := quick().Send(t.Context(), doc); err != nil || (*asked)[0].Header.Get("Authorization") != "Bearer one" {
		t.Error(err)
	}
	for _, text := range []string{"", "two words", "a\r\nX-Other: b", "é"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := quick().Send(t.Context(), doc); err == nil || len(*asked) > 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Certificates are verified, by the system's authorities or a file's.
func TestCertificates(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	s.Config.ErrorLog = nil
	doc := Document{URL: s.URL, Header: http.Header{}}
	c := quick()
	c.Give = 0
	if err := c.Send(t.Context(), doc); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	c.CAFile = write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	if err := c.Send(t.Context(), doc); err != nil {
		t.Error(err)
	}
	c.CAFile = write(t, "none.pem", "none")
	if err := c.Send(t.Context(), doc); err == nil || !strings.Contains(err.Error(), "holds no certificate") {
		t.Error(err)
	}
}

// What is sent goes by the proxy that is named.
func TestProxy(t *testing.T) {
	var asked string
	by := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.String() }))
	defer by.Close()
	c := quick()
	c.Proxy = proxy.Settings{URL: by.URL}
	if err := c.Send(t.Context(), Document{URL: "http://ntfy.invalid/topic", Header: http.Header{}}); err != nil || asked != "http://ntfy.invalid/topic" {
		t.Errorf("asked for %q: %v", asked, err)
	}
}

func TestCheck(t *testing.T) {
	for address, want := range map[string]string{
		"https://ntfy.lan/topic":    "",
		"http://127.0.0.1:80/topic": "",
		"http://localhost/x":        "",
		"http://ntfy.lan/secret":    "is not encrypted",
		"https://a:b@ntfy.lan/":     "token_file",
		"ftp://ntfy.lan/":           "is no address",
		"ntfy.lan":                  "is no address",
		"https:///secret":           "is no address",
	} {
		err := Check(address, true)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := Check("http://ntfy.lan/", false); err != nil {
		t.Error(err)
	}
}
