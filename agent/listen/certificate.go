package listen

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// A certificate is a pair of files that somebody renews while the agent runs.
type certificate struct {
	cert, key string

	mu       sync.Mutex
	pair     *tls.Certificate
	modified [2]time.Time
}

// current is the pair as it is now. One that cannot be used, as when only one of
// the files is new yet, leaves the one before it.
func (c *certificate) current(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	modified := [2]time.Time{modTime(c.cert), modTime(c.key)}
	if c.pair != nil && modified == c.modified {
		return c.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	switch {
	case err == nil:
		c.pair, c.modified = &pair, modified
	case c.pair == nil:
		return nil, fmt.Errorf("read the certificate %s and its key %s: %w", c.cert, c.key, err)
	}
	return c.pair, nil
}

func modTime(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
