package clone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/flock"
	"github.com/gitboot/gitboot/internal/progress"
)

const (
	// marker tells our clones from a folder that somebody named by mistake.
	marker     = "gitboot-clone"
	markerText = "This bare clone is gitboot's: it is rewritten, and may be removed, at any time.\n"
	configText = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	unborn     = "ref: refs/heads/none\n"
	// MaxPacks bounds what a cheap Open looks at; one fetch adds one pack.
	MaxPacks = 20
	// shownFrom is from when on a fetch is reported.
	shownFrom = 1 << 20
)

// A clone is the bare repo on this machine. On disk there is always a whole
// one: packs are added before HEAD names them, and removed after others hold
// their objects.
type Clone struct {
	dir      string
	log      *slog.Logger
	progress progress.Sink

	reader
	tip plumbing.Hash
}

// Dir is the clone's folder.
func (c *Clone) Dir() string { return c.dir }

func (c *Clone) objects() string { return filepath.Join(c.dir, "objects") }
func (c *Clone) packDir() string { return filepath.Join(c.objects(), "pack") }

// reopen forgets what was read of the packs. File names inside the clone
// never leave it: alternates are followed in quarantine only, which has them.
func (c *Clone) reopen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in, c.opened = c.objects(), nil // its files end with who still reads them
}

// Head is the commit that was admitted last, zero if there is none yet.
func (c *Clone) Head() plumbing.Hash { return c.tip }

// Ensure completes the clone's layout. The marker comes first, so that a cut
// in between leaves something that the next run knows as its own.
func (c *Clone) Ensure() error {
	if err := durable.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{marker, markerText}, {"config", configText}, {"HEAD", unborn},
	} {
		path := filepath.Join(c.dir, f.name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := durable.WriteFile(path, []byte(f.text), 0o600); err != nil {
			return err
		}
	}
	if err := durable.MkdirAll(filepath.Join(c.dir, "refs"), 0o700); err != nil {
		return err
	}
	return durable.MkdirAll(c.packDir(), 0o700)
}

// readHead returns the recorded tip, or zero if there is none yet.
func (c *Clone) readHead() (plumbing.Hash, error) {
	data, err := os.ReadFile(filepath.Join(c.dir, "HEAD"))
	if errors.Is(err, fs.ErrNotExist) || string(data) == unborn {
		return plumbing.ZeroHash, nil
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	s := strings.TrimSpace(string(data))
	if !plumbing.IsHash(s) {
		return plumbing.ZeroHash, fmt.Errorf("its HEAD is damaged")
	}
	return plumbing.NewHash(s), nil
}

// Admitted is the commit that the clone in a folder has admitted last, zero if there is
// none. Nothing is healed: it is for who reads while others write.
func Admitted(dir string) (plumbing.Hash, error) { return (&Clone{dir: dir}).readHead() }

// SetHead records the commit that was admitted last.
func (c *Clone) SetHead(tip plumbing.Hash) error {
	err := durable.WriteFile(filepath.Join(c.dir, "HEAD"), []byte(tip.String()+"\n"), 0o600)
	if err == nil {
		c.tip = tip
	}
	return err
}

// Lock keeps other processes from writing to the clone until the returned
// function is called. The lock is the folder's own: it leaves no file.
func (c *Clone) Lock(ctx context.Context) (unlock func(), err error) {
	if err := durable.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	for {
		unlock, err := c.tryLock()
		if err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another gitboot that writes to %s: %w", c.dir, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Clone) tryLock() (unlock func(), err error) {
	d, err := os.Open(c.dir)
	if err != nil {
		return nil, err
	}
	if err := flock.Try(d); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() { flock.Release(d) }, nil
}
