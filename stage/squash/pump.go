package squash

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/gitboot/gitboot/internal/progress"
)

// The pump's buffers: big enough that handing one over costs nothing, few
// enough to stay in the processor's cache.
const (
	chunkSize  = 256 << 10
	chunkCount = 12
)

// A pump reads a stream ahead and, if asked to, hashes it on the way, each in
// a goroutine of its own, so that reading (which decompresses), hashing and rewriting
// share the processors.
type pump struct {
	ctx    context.Context
	body   io.Reader
	task   *progress.Task
	free   chan *chunk
	toHash chan *chunk
	toRead chan *chunk
	hashed chan struct{} // closed when sum is set; nil without hashing
	made   int           // chunks that there are, of chunkCount

	err   error // how reading ended; set before toRead is closed
	sum   string
	count int64
	cur   *chunk
	off   int
}

// A chunk is shared by the hash and the reader; the last to finish frees it.
type chunk struct {
	data  []byte
	users atomic.Int32
}

func startPump(ctx context.Context, body io.Reader, task *progress.Task, hash bool) *pump {
	p := &pump{
		ctx: ctx, body: body, task: task,
		free:   make(chan *chunk, chunkCount),
		toHash: make(chan *chunk, chunkCount),
		toRead: make(chan *chunk, chunkCount),
	}
	if hash {
		p.hashed = make(chan struct{})
		go p.hash()
	}
	go p.fill()
	return p
}

func (p *pump) fill() {
	defer close(p.toRead)
	defer close(p.toHash)
	for {
		c := p.empty()
		if c == nil {
			p.err = context.Cause(p.ctx)
			return
		}
		n, err := readFull(p.body, c.data[:chunkSize])
		c.data = c.data[:n]
		p.task.Add(int64(n))
		// The channels hold every chunk there is: sending never blocks.
		c.users.Store(1)
		if p.hashed != nil {
			c.users.Store(2)
			p.toHash <- c
		}
		p.toRead <- c
		if err != nil {
			p.err = err
			return
		}
	}
}

// empty returns a chunk to read into: a new one only where none is free, so that a small
// layer takes few. It is nil if the context has ended.
func (p *pump) empty() *chunk {
	if p.ctx.Err() != nil {
		return nil
	}
	select {
	case c := <-p.free:
		return c
	default:
	}
	if p.made < chunkCount {
		p.made++
		return &chunk{data: make([]byte, 0, chunkSize)}
	}
	select {
	case c := <-p.free:
		return c
	case <-p.ctx.Done():
		return nil
	}
}

// readFull is io.ReadFull without its io.ErrUnexpectedEOF, which must not be
// mistaken for that of a stream that was cut.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (p *pump) hash() {
	defer close(p.hashed)
	h := sha256.New()
	for c := range p.toHash {
		h.Write(c.data)
		p.release(c)
	}
	p.sum = hex.EncodeToString(h.Sum(nil))
}

func (p *pump) release(c *chunk) {
	if c.users.Add(-1) == 0 {
		p.free <- c
	}
}

func (p *pump) Read(b []byte) (int, error) {
	for p.cur == nil || p.off == len(p.cur.data) {
		if p.cur != nil {
			p.release(p.cur)
			p.cur = nil
		}
		c, ok := <-p.toRead
		if !ok {
			return 0, p.err
		}
		p.cur, p.off = c, 0
	}
	n := copy(b, p.cur.data[p.off:])
	p.off += n
	p.count += int64(n)
	return n, nil
}

// drain reads what follows the tar's end, so that all is hashed and whoever
// verifies while reading sees the end.
func (p *pump) drain() error {
	_, err := io.Copy(io.Discard, struct{ io.Reader }{p})
	return err
}

// check compares the digest of all that was read, after the end.
func (p *pump) check(diffID string) error {
	if p.err != io.EOF || p.hashed == nil {
		return nil
	}
	<-p.hashed
	if got := "sha256:" + p.sum; got != diffID {
		return fmt.Errorf("the content has the digest %s: it is not what the image's configuration names", got)
	}
	return nil
}

// stop ends the pump's goroutines after its context has been cancelled.
func (p *pump) stop() {
	for c := range p.toRead {
		p.release(c)
	}
	if p.hashed != nil {
		<-p.hashed
	}
}
