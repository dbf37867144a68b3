package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// drip sends text a byte at a time, and then x for ever.
func drip(ctx context.Context, w io.Writer, text string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		one := "x"
		if i < len(text) {
			one = text[i : i+1]
		}
		if _, err := io.WriteString(w, one); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// A server that sends a byte now and then is given up wherever it does.
func TestDrippingAnswers(t *testing.T) {
	noCredentials(t)
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			drip(r.Context(), conn, text)
		}
	}
	body := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			drip(r.Context(), w, "{")
		}
	}
	login := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token"`, r.Host))
		w.WriteHeader(http.StatusUnauthorized)
	}
	for what, serve := range map[string]func(path string) http.HandlerFunc{
		"headers": func(string) http.HandlerFunc { return raw("HTTP/1.1 200 OK\r\nX: ") },
		"answers to come": func(string) http.HandlerFunc {
			return raw(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 10_000))
		},
		"token": func(path string) http.HandlerFunc {
			if path == "/token" {
				return body(200)
			}
			return login
		},
		"refused token": func(path string) http.HandlerFunc {
			if path == "/token" {
				return body(400)
			}
			return login
		},
		"manifest": func(path string) http.HandlerFunc {
			if path == "/v2/" {
				return func(http.ResponseWriter, *http.Request) {}
			}
			return body(200)
		},
		"refusal":    func(string) http.HandlerFunc { return body(404) },
		"come later": func(string) http.HandlerFunc { return body(503) },
		"redirects": func(path string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(r.URL.Path)(w, r) }))
			defer s.Close()
			defer s.CloseClientConnections()
			opts := Options{Insecure: true, Timing: Timing{Attempts: 1, Idle: 300 * time.Millisecond}}
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			_, err := Open(ctx, strings.TrimPrefix(s.URL, "http://")+"/app", "sha256:"+strings.Repeat("0", 64), opts)
			if err == nil || ctx.Err() != nil {
				t.Errorf("error %v, %v", err, ctx.Err())
			}
		})
	}
}

// A registry that takes a little now and then is given up, too.
func TestDrippingPush(t *testing.T) {
	noCredentials(t)
	r := newRecorder(t)
	inner := r.Config.Handler
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPatch {
			inner.ServeHTTP(w, req)
			return
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			<-tick.C
			if _, err := io.CopyN(io.Discard, req.Body, 64<<10); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	defer s.CloseClientConnections()
	noise := make([]byte, 32<<20)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	opts := pushOptions()
	opts.Timing = Timing{Attempts: 1, Idle: 200 * time.Millisecond, MinRate: 10e6}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	_, err := Push(ctx, upload(t, strings.TrimPrefix(s.URL, "http://")+"/app:1", string(noise)), opts)
	if !errors.Is(err, ErrSlow) {
		t.Errorf("error %v", err)
	}
}
