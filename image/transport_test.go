package image

import (
	"bytes"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain puts httptest's authority into this process's trust store, the way
// a user would. crypto/x509 reads it once, so it must be there before a test.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		s := httptest.NewTLSServer(nil)
		defer s.Close()
		dir, err := os.MkdirTemp("", "gitboot-image-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		ca := filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
			panic(err)
		}
		os.Setenv("SSL_CERT_FILE", ca)
		os.Setenv("SSL_CERT_DIR", dir)
		return m.Run()
	}())
}

// overTLS serves w's registry over HTTPS as well. Its certificate names
// 127.0.0.1 and example.com.
func (w *wire) overTLS(t *testing.T) (host string) {
	t.Helper()
	s := httptest.NewTLSServer(w)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "https://")
}

func secure() Options {
	o := quick()
	o.Insecure = false
	return o
}

func TestHTTPS(t *testing.T) {
	w, _, digest, content := pushed(t)
	host := w.overTLS(t)
	r, err := Resolve(context.Background(), host+"/app:1", secure())
	check(t, err)
	if r.Digest != digest {
		t.Errorf("resolved to %+v", r)
	}
	got, err := pull(host+"/app:1", digest, secure())
	check(t, err)
	if !bytes.Equal(got[0], content) {
		t.Error("the content differs")
	}
}

func TestUnverifiedCertificate(t *testing.T) {
	w, _, digest, _ := pushed(t)
	// The certificate does not name localhost.
	host := strings.Replace(w.overTLS(t), "127.0.0.1", "localhost", 1)
	_, err := Resolve(context.Background(), host+"/app:1", secure())
	wantError[*InsecureError](t, err, "certificate", "insecure = true", "trust store")
	r, err := Resolve(context.Background(), host+"/app:1", quick())
	check(t, err)
	if r.Digest != digest {
		t.Errorf("resolved to %+v", r)
	}
}

func TestPlainHTTPIsRefused(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	w.broken(nil)
	_, err := Resolve(context.Background(), ref, secure())
	wantError[*InsecureError](t, err, "plain HTTP", "insecure = true")
	_, err = Open(context.Background(), ref, digest, secure())
	wantError[*InsecureError](t, err, "plain HTTP", "insecure = true")
	if n := w.count("GET", "/"); n > 0 {
		t.Errorf("%d requests were made all the same", n)
	}
	opts := secure()
	opts.Mirrors = []string{w.URL}
	_, err = Resolve(context.Background(), "example.com/app:1", opts)
	wantError[*InsecureError](t, err, w.host, "http://")
}

func TestRedirectToPlainHTTPIsRefused(t *testing.T) {
	w, _, digest, _ := pushed(t)
	host := w.overTLS(t)
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(rw, r, w.URL+r.URL.Path+"?X-Signature=s3cret", http.StatusTemporaryRedirect)
	}))
	_, err := pull(host+"/app:1", digest, secure())
	wantError[*InsecureError](t, err, "plain HTTP")
	noSecret(t, err, "s3cret")
}

func TestSignedURLsStaySecret(t *testing.T) {
	noCredentials(t)
	w, ref, digest, _ := pushed(t)
	gone := httptest.NewServer(nil)
	gone.Close()
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(rw, r, strings.Replace(gone.URL, "http://", "http://user:s3cret@", 1)+"/b?X-Signature=s3cret#s3cret", http.StatusTemporaryRedirect)
	}))
	_, err := pull(ref, digest, quick())
	wantWords(t, err, "after 3 attempts", "refused")
	noSecret(t, err, "s3cret")
}

func TestUnreachable(t *testing.T) {
	gone := httptest.NewServer(nil)
	host := strings.TrimPrefix(gone.URL, "http://")
	gone.Close()
	for _, opts := range []Options{quick(), secure()} {
		_, err := Resolve(context.Background(), host+"/app:1", opts)
		wantWords(t, err, "after 3 attempts", "connection refused", host)
	}
}
