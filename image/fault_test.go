package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// pushed is a registry with one image of one zstd layer.
func pushed(t *testing.T) (w *wire, ref, digest string, content []byte) {
	t.Helper()
	w = newWire(t)
	content = someTar(t, 3<<20)
	digest = w.push(t, "app:1", imageOf(t, layerOf(zst(t, content), content, types.OCILayerZStd)))
	return w, w.host + "/app:1", digest, content
}

// onBlob breaks GETs of blobs larger than configurations.
func onBlob(do func(w http.ResponseWriter, r *http.Request, next http.Handler)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if !strings.Contains(r.URL.Path, "/blobs/") || whole(r, next).body.Len() < 100_000 {
			next.ServeHTTP(w, r)
			return
		}
		do(w, r, next)
	}
}

type recorded struct {
	head http.Header
	code int
	body bytes.Buffer
}

func (r *recorded) Header() http.Header         { return r.head }
func (r *recorded) WriteHeader(code int)        { r.code = code }
func (r *recorded) Write(p []byte) (int, error) { return r.body.Write(p) }

// whole is the registry's full answer.
func whole(r *http.Request, next http.Handler) *recorded {
	rec := &recorded{head: http.Header{}, code: http.StatusOK}
	r = r.Clone(context.Background())
	r.Header.Del("Range")
	next.ServeHTTP(rec, r)
	return rec
}

// cutAt sends n bytes of an answer and closes the connection.
func cutAt(w http.ResponseWriter, rec *recorded, n int) {
	w.Header().Set("Content-Length", fmt.Sprint(rec.body.Len()))
	w.WriteHeader(rec.code)
	_, _ = w.Write(rec.body.Bytes()[:n])
	panic(http.ErrAbortHandler)
}

func TestCutBlobIsResumed(t *testing.T) {
	w, ref, digest, content := pushed(t)
	var ranges []string
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		ranges = append(ranges, r.Header.Get("Range"))
		if len(ranges) == 1 {
			cutAt(rw, whole(r, next), 1_000_000)
		}
		next.ServeHTTP(rw, r)
	}))
	got, err := pull(ref, digest, quick())
	check(t, err)
	if !bytes.Equal(got[0], content) {
		t.Error("the content differs")
	}
	if len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=1000000-") {
		t.Errorf("ranges asked for: %q", ranges)
	}
}

func TestCutBlobFromAServerWithoutRanges(t *testing.T) {
	w, ref, digest, content := pushed(t)
	cuts := 0
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := whole(r, next)
		if cuts++; cuts == 1 {
			cutAt(rw, rec, 1_200_000)
		}
		_, _ = rw.Write(rec.body.Bytes())
	}))
	got, err := pull(ref, digest, quick())
	check(t, err)
	if !bytes.Equal(got[0], content) || cuts != 2 {
		t.Errorf("content differs, or %d connections", cuts)
	}
}

func TestBlobThatIsCutForEver(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	var n atomic.Int32
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		n.Add(1)
		panic(http.ErrAbortHandler)
	}))
	_, err := pull(ref, digest, quick())
	wantWords(t, err, "after 3 attempts", "blob sha256:")
	if n.Load() < 3 || n.Load() > 20 {
		t.Errorf("%d connections", n.Load())
	}
}

func TestFalseBlobs(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for name, spoil := range map[string]func([]byte) []byte{
		"wrong bytes":  flip,
		"wrong middle": func(b []byte) []byte { return append(flip(b[:len(b)-5]), b[len(b)-5:]...) },
		"too short":    func(b []byte) []byte { return b[:len(b)-7] },
		"too long":     func(b []byte) []byte { return append(b, "more"...) },
		"other":        func(b []byte) []byte { return bytes.Repeat([]byte{7}, len(b)) },
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " chunked ", chunked), func(t *testing.T) {
				w, ref, digest, _ := pushed(t)
				w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
					body := spoil(whole(r, next).body.Bytes())
					if !chunked {
						rw.Header().Set("Content-Length", fmt.Sprint(len(body)))
					}
					rw.WriteHeader(http.StatusOK)
					if f, ok := rw.(http.Flusher); ok {
						f.Flush()
					}
					_, _ = rw.Write(body)
				}))
				_, err := pull(ref, digest, quick())
				if name == "too short" && chunked {
					wantWords(t, err, "was cut at byte") // and nothing more came
					return
				}
				wantError[*DigestError](t, err, "blob sha256:", "want", w.host)
			})
		}
	}
}

func TestFalseRangeIsRefused(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	n := 0
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := whole(r, next)
		if n++; n == 1 {
			cutAt(rw, rec, 500_000)
		}
		rw.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", rec.body.Len()-1, rec.body.Len()))
		rw.WriteHeader(http.StatusPartialContent)
		_, _ = rw.Write(rec.body.Bytes())
	}))
	_, err := pull(ref, digest, quick())
	wantError[*DigestError](t, err, "range")
}

func TestSilence(t *testing.T) {
	opts := quick()
	opts.Timing.Idle, opts.Timing.Attempts = 60*time.Millisecond, 2
	t.Run("from the start", func(t *testing.T) {
		w, ref, _, _ := pushed(t)
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		w.broken(func(http.ResponseWriter, *http.Request, http.Handler) { <-release })
		_, err := Resolve(context.Background(), ref, opts)
		if !errors.Is(err, ErrIdle) {
			t.Errorf("error %v, want ErrIdle", err)
		}
		wantWords(t, err, "sent nothing", "2 attempts")
	})
	t.Run("in a blob", func(t *testing.T) {
		w, ref, digest, content := pushed(t)
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		n := 0
		w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
			if n++; n == 1 {
				rec := whole(r, next)
				rw.Header().Set("Content-Length", fmt.Sprint(rec.body.Len()))
				_, _ = rw.Write(rec.body.Bytes()[:700_000])
				rw.(http.Flusher).Flush()
				<-release
				return
			}
			next.ServeHTTP(rw, r)
		}))
		got, err := pull(ref, digest, opts)
		check(t, err)
		if !bytes.Equal(got[0], content) {
			t.Error("the content differs")
		}
	})
}

func TestPassingStatus(t *testing.T) {
	for _, status := range []int{408, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w, ref, digest, _ := pushed(t)
			n := 0
			w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				if n++; n < 3 {
					rw.WriteHeader(status)
					return
				}
				next.ServeHTTP(rw, r)
			})
			r, err := Resolve(context.Background(), ref, quick())
			check(t, err)
			if r.Digest != digest {
				t.Errorf("digest %s", r.Digest)
			}
			w.broken(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) { rw.WriteHeader(status) })
			_, err = Resolve(context.Background(), ref, quick())
			wantError[*StatusError](t, err, fmt.Sprint(status), "after 3 attempts")
		})
	}
}

func TestRetryAfter(t *testing.T) {
	w, ref, _, _ := pushed(t)
	var first, second time.Time
	w.broken(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if first.IsZero() {
			first = time.Now()
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		if second.IsZero() {
			second = time.Now()
		}
		next.ServeHTTP(rw, r)
	})
	opts := quick()
	opts.Timing.MaxWait = 2 * time.Second
	_, err := Resolve(context.Background(), ref, opts)
	check(t, err)
	if d := second.Sub(first); d < 900*time.Millisecond {
		t.Errorf("came back after %s, was asked to wait 1s", d)
	}
	w.broken(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) {
		rw.Header().Set("Retry-After", "7200")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	_, err = Resolve(context.Background(), ref, opts)
	wantError[*StatusError](t, err, "wait 2h", "longer than gitboot waits")
	if w.count("GET", "/v2/") > 2 { // one login, over https and http
		t.Error("asked again all the same")
	}
}

func TestCancelEndsAPull(t *testing.T) {
	w, ref, digest, _ := pushed(t)
	ctx, cancel := context.WithCancel(context.Background())
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	w.broken(onBlob(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		_, _ = rw.Write(whole(r, next).body.Bytes()[:300_000])
		rw.(http.Flusher).Flush()
		cancel()
		<-release
	}))
	img, err := Open(ctx, ref, digest, quick())
	check(t, err)
	if _, err = readLayer(ctx, img.Layers[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestCloseInTheMiddle(t *testing.T) {
	_, ref, digest, _ := pushed(t)
	img, err := Open(context.Background(), ref, digest, quick())
	check(t, err)
	rc, err := img.Layers[0].Open(context.Background())
	check(t, err)
	_, err = rc.Read(make([]byte, 10))
	check(t, err)
	check(t, rc.Close())
	check(t, rc.Close())
}
