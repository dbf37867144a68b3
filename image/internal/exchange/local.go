package exchange

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Local is a transport to a handler of this process: nothing is asked of the network,
// whatever server a request names.
func Local(h http.Handler) *Transport { return &Transport{Plain: true, inner: local{h}} }

type local struct{ handler http.Handler }

// RoundTrip has the handler write into the answer's body while that is read.
func (l local) RoundTrip(req *http.Request) (*http.Response, error) {
	body, to := io.Pipe()
	a := &answer{header: http.Header{}, began: make(chan struct{}), to: to}
	asked := req.Clone(req.Context())
	asked.Host, asked.RequestURI = req.URL.Host, req.URL.RequestURI()
	ended := context.AfterFunc(req.Context(), func() { to.CloseWithError(context.Cause(req.Context())) })
	go func() {
		defer ended()
		defer to.Close()
		l.handler.ServeHTTP(a, asked)
		a.WriteHeader(http.StatusOK)
	}()
	select {
	case <-a.began:
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
	length, err := strconv.ParseInt(a.sent.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return &http.Response{
		StatusCode: a.status, Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: body, ContentLength: length, Request: req,
	}, nil
}

// An answer is what a handler writes.
type answer struct {
	header, sent http.Header
	status       int
	once         sync.Once
	began        chan struct{}
	to           *io.PipeWriter
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.to.Write(p)
}
