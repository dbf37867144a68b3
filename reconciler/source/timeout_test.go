package source

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

// silent lists options for remotes whose server accepts a connection (the
// kernel does, for a listener) and then never says a word.
func silent(t *testing.T) map[string]Options {
	t.Helper()
	addr := listen(t).Addr().String()
	key, _ := newKey(t, "client")
	known := filepath.Join(t.TempDir(), "known_hosts")
	writeFile(t, known, "")
	dir := filepath.Join(t.TempDir(), "clone")
	return map[string]Options{
		"ssh":   {URL: "ssh://git@" + addr + "/x", Dir: dir, SSHKeyFile: key, KnownHostsFile: known},
		"https": {URL: "https://" + addr + "/x", Dir: dir},
	}
}

func TestTimeout(t *testing.T) {
	for name, o := range silent(t) {
		t.Run(name, func(t *testing.T) {
			o.Timeout = 50 * time.Millisecond
			var timeout *TimeoutError
			if _, err := open(t, o).Remote(context.Background()); !errors.As(err, &timeout) {
				t.Errorf("Remote: %v", err)
			}
			if _, err := open(t, o).Fetch(context.Background(), ""); !errors.As(err, &timeout) {
				t.Errorf("Fetch: %v", err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	for name, o := range silent(t) {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			var timeout *TimeoutError
			_, err := open(t, o).Remote(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) {
				t.Errorf("Remote: %v", err)
			}
		})
	}
}
