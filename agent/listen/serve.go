package listen

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"
)

const (
	maxHeader = 16 << 10
	// patience is how long a request may take to arrive, and an answer to leave.
	patience = 10 * time.Second
	idle     = time.Minute
	// farewell is how long what is being answered may take when all ends.
	farewell = time.Second
)

// Connections that are opened in a second, whoever opens them: each costs the
// fifth of a millisecond, and with TLS one and more, before anything is known of
// who it is. More wait in the kernel, as many as waiting holds, and are told
// nothing then; theirs try again.
const (
	perSecond    = 100
	perSecondTLS = 25
	waiting      = 64
)

// Serve answers by handler until ctx ends. No more than so many connections are
// open at once; others wait for their turn.
func Serve(ctx context.Context, l net.Listener, connections int, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, BaseContext: func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: patience / 2, ReadTimeout: patience, WriteTimeout: 2 * patience, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		ErrorLog: log.New(io.Discard, "", 0), // what strangers say on a connection is not worth a line each
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
		defer cancel()
		if server.Shutdown(bounded) != nil {
			server.Close()
		}
	})
	defer stop()
	err := server.Serve(&paced{netutil.LimitListener(l, connections), ctx, rate.NewLimiter(limit(l), perSecond)})
	if errors.Is(err, http.ErrServerClosed) {
		<-ended // what is being answered is not cut off by who ends next
		return nil
	}
	return errors.Join(err, server.Close())
}

// A paced listener accepts no faster than its limiter allows.
type paced struct {
	net.Listener
	ctx     context.Context
	limiter *rate.Limiter
}

func (p *paced) Accept() (net.Conn, error) {
	if p.limiter.Wait(p.ctx) != nil {
		return nil, http.ErrServerClosed
	}
	return p.Listener.Accept()
}

func limit(l net.Listener) rate.Limit {
	if _, plain := l.(*net.TCPListener); plain || l.Addr().Network() == "unix" {
		return perSecond
	}
	return perSecondTLS
}
