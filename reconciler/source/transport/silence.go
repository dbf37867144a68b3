package transport

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// A Silence is how long a server may say nothing before it is given up. What
// is long but goes on, such as the first fetch of a large repo, is not.
type Silence struct {
	After time.Duration
	// Broken says that it was too long. An SSH or TLS library need not pass on
	// why its connection ended.
	Broken atomic.Bool
}

// dial connects, as net.Dialer does.
func (s *Silence) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: s.After}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, s.note(err)
	}
	return &talkingConn{conn, s}, nil
}

func (s *Silence) note(err error) error {
	var timeout net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		s.Broken.Store(true)
	}
	return err
}

// A talkingConn allows each reading and writing the time of a silence.
type talkingConn struct {
	net.Conn
	allowed *Silence
}

func (c *talkingConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.allowed.After)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	return n, c.allowed.note(err)
}

func (c *talkingConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.allowed.After)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	return n, c.allowed.note(err)
}
