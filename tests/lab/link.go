package lab

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// A Link is what lies between a registry and who asks it: it counts what is sent of blobs,
// and may be slow.
type Link struct {
	sent    atomic.Int64
	limiter *rate.Limiter
}

// burst is how much is sent at once over a slow link, in bytes.
const burst = 64 << 10

// NewLink makes a link without a limit.
func NewLink() *Link { return &Link{limiter: rate.NewLimiter(rate.Inf, burst)} }

// Limit lets no more bytes pass in a second, of all answers together; 0 lets all pass.
func (l *Link) Limit(bytes int) {
	if bytes == 0 {
		l.limiter.SetLimit(rate.Inf)
		return
	}
	l.limiter.SetLimit(rate.Limit(bytes))
}

// Sent is how many bytes of blobs were sent since it was asked last.
func (l *Link) Sent() int64 { return l.sent.Swap(0) }

// Watch is for NewWatchedRegistry.
func (l *Link) Watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			w = &linked{w, r.Context(), l}
		}
		next.ServeHTTP(w, r)
	})
}

// A linked answer goes over a link.
type linked struct {
	http.ResponseWriter
	ctx  context.Context
	link *Link
}

func (w *linked) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		part := p[:min(len(p), burst)]
		if err = w.link.limiter.WaitN(w.ctx, len(part)); err != nil {
			break
		}
		var m int
		m, err = w.ResponseWriter.Write(part)
		n += m
		w.link.sent.Add(int64(m))
		p = p[len(part):]
	}
	return n, err
}
