package webhook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gitboot/gitboot/internal/owned"
)

const (
	// minSecret is how long a secret is at least: shorter ones are guessed.
	minSecret = 16
	// maxSecrets is how many there may be, each of which every hook is compared
	// with.
	maxSecrets    = 4
	maxSecretFile = 4 << 10
)

// secrets are read again when their file is another.
type secrets struct {
	path string

	mu   sync.Mutex
	is   os.FileInfo
	keys []string
}

func (s *secrets) read() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, fmt.Errorf("read the webhook's secret: %w", err)
	}
	if s.is != nil && os.SameFile(s.is, info) && s.is.ModTime().Equal(info.ModTime()) && s.is.Size() == info.Size() {
		return s.keys, nil
	}
	keys, err := ReadSecrets(s.path)
	if err != nil {
		return nil, err
	}
	s.keys, s.is = keys, info
	if time.Since(info.ModTime()) < time.Second {
		s.is = nil // what is written within the same tick of the clock would be missed
	}
	return keys, nil
}

// ReadSecrets reads a file of secrets, one a line, and refuses one that others
// may read or write, or could guess.
func ReadSecrets(path string) (keys []string, err error) {
	defer func() {
		if err != nil {
			keys, err = nil, fmt.Errorf("read the webhook's secret: %w", err)
		}
	}()
	if err := owned.Check(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode()&0o004 != 0 {
		return nil, fmt.Errorf("%s can be read by everybody; run `chmod o-r` on it", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(data)) {
		if key := strings.TrimSpace(line); key != "" {
			keys = append(keys, key)
		}
	}
	return keys, checkSecrets(path, keys, len(data))
}

func checkSecrets(path string, keys []string, size int) error {
	switch {
	case size > maxSecretFile || len(keys) > maxSecrets:
		return fmt.Errorf("%s holds more than %d secrets, or %d bytes; leave those that are in use, one a line", path, maxSecrets, maxSecretFile)
	case len(keys) == 0:
		return errors.New(path + " is empty; make a secret with `openssl rand -hex 32`")
	}
	for n, key := range keys {
		if len(key) < minSecret {
			return fmt.Errorf("secret %d of %s has fewer than %d characters and could be guessed; make one with `openssl rand -hex 32`", n+1, path, minSecret)
		}
	}
	return nil
}
