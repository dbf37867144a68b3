package image

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// onHead breaks HEAD requests.
func onHead(do http.HandlerFunc) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodHead {
			do(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	}
}

// Servers that refuse a HEAD, each in its way, and answer a GET.
func TestResolveWhereHeadIsRefused(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 405, 406, 429, 500, 501, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w, ref, digest, _ := pushed(t)
			w.broken(onHead(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(status) }))
			r, err := Resolve(t.Context(), ref, quick())
			check(t, err)
			if r.Digest != digest || w.count("HEAD", "/manifests/") != 1 || w.count("GET", "/manifests/") != 1 {
				t.Errorf("resolved to %+v after %q", r, w.seen)
			}
		})
	}
}

// A HEAD's answer has no body: what a registry means stands in a GET's.
func TestARefusalSaysWhatTheRegistrySays(t *testing.T) {
	const words = "You have reached your pull rate limit"
	for media, body := range map[string]string{
		"application/json": `{"errors":[{"code":"TOOMANYREQUESTS","message":"` + words + `"}]}`,
		"text/plain":       words + "\n",
		"text/json":        `{"message":"` + words + `"}`,
	} {
		noCredentials(t)
		w, ref, _, _ := pushed(t)
		w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				next.ServeHTTP(rw, r)
				return
			}
			rw.Header().Set("Content-Type", media)
			rw.WriteHeader(http.StatusTooManyRequests)
			if r.Method != http.MethodHead {
				_, _ = io.WriteString(rw, body)
			}
		})
		_, err := Resolve(t.Context(), ref, quick())
		wantError[*StatusError](t, err, "429", words, "credentials: anonymous")
	}
}

// A name that nobody knows is not asked for again, and said once.
func TestUnknownHost(t *testing.T) {
	noCredentials(t)
	host := strings.Repeat("x", 64) + ".invalid" // no name server is asked for a label this long
	for _, insecure := range []bool{false, true} {
		var log bytes.Buffer
		opts := quick()
		opts.Insecure, opts.Log = insecure, slog.New(slog.NewTextHandler(&log, nil))
		_, err := Resolve(t.Context(), host+"/app:1", opts)
		wantError[*UnknownHostError](t, err, "there is no host "+host, "check the image's name")
		if strings.Contains(err.Error(), "attempts") || strings.Count(err.Error(), "no host") != 1 || log.Len() > 0 {
			t.Errorf("error %q, log %q", err, log.String())
		}
	}
	opts := quick()
	opts.CacheDir = t.TempDir()
	_, err := OpenArchive(t.Context(), ArchivePlace{URL: "https://" + host + "/a.tar", SHA256: strings.Repeat("0", 64)}, opts)
	wantError[*UnknownHostError](t, err, host)
}
