package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/fault"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/reconciler/source/pack"
)

const (
	// marker tells our clones from a folder that somebody named by mistake.
	marker     = "gitboot-clone"
	markerText = "This bare clone is gitboot's: it is rewritten, and may be removed, at any time.\n"
	configText = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
	unborn     = "ref: refs/heads/none\n"
	// maxPacks bounds what a cheap Open looks at; one fetch adds one pack.
	maxPacks = 20
	// cacheSize bounds what a waiting daemon holds of the last read objects.
	cacheSize = 8 * cache.MiByte
	// streamFrom is the size from which a file is not read into memory whole.
	streamFrom = 1 << 20
	// shownFrom is from when on a fetch is reported.
	shownFrom = 1 << 20
)

// A clone is the bare repo on this machine. On disk there is always a whole
// one: packs are added before HEAD names them, and removed after others hold
// their objects.
type clone struct {
	dir      string
	log      *slog.Logger
	progress progress.Sink

	mu  sync.Mutex // go-git's storage is not safe for concurrent readers
	st  *filesystem.Storage
	tip plumbing.Hash
}

func (c *clone) objects() string { return filepath.Join(c.dir, "objects") }
func (c *clone) packDir() string { return filepath.Join(c.objects(), "pack") }

// reopen forgets what was read of the packs. File names inside the clone
// never leave it, so alternates, which it has none of, are not followed.
func (c *clone) reopen() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.st = filesystem.NewStorageWithOptions(osfs.New(c.dir), cache.NewObjectLRU(cacheSize),
		filesystem.Options{LargeObjectThreshold: streamFrom})
}

func (c *clone) storage() *filesystem.Storage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st
}

func (c *clone) head() plumbing.Hash { return c.tip }

func (c *clone) has(h plumbing.Hash) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st.HasEncodedObject(h) == nil
}

// ensure completes the clone's layout. The marker comes first, so that a cut
// in between leaves something that the next run knows as its own.
func (c *clone) ensure() error {
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
func (c *clone) readHead() (plumbing.Hash, error) {
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

func (c *clone) setHead(tip plumbing.Hash) error {
	err := durable.WriteFile(filepath.Join(c.dir, "HEAD"), []byte(tip.String()+"\n"), 0o600)
	if err == nil {
		c.tip = tip
	}
	return err
}

// lock keeps other processes from writing to the clone until the returned
// function is called. The lock is the folder's own: it leaves no file.
func (c *clone) lock(ctx context.Context) (unlock func(), err error) {
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

func (c *clone) tryLock() (unlock func(), err error) {
	d, err := os.Open(c.dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return func() {
		// a process that is just being started shares the lock until it is
		// another program: closing alone would leave it locked for that long
		unix.Flock(int(d.Fd()), unix.LOCK_UN)
		d.Close()
	}, nil
}

// addPack stores a pack: whole, indexed and synced before it has a name, and
// the index last, as it is what makes the pack's objects visible.
func (c *clone) addPack(ctx context.Context, r io.Reader) error {
	file, err := durable.Create(c.packDir(), 0o400)
	if err != nil {
		return err
	}
	defer file.Discard()
	scratch, err := durable.Create(c.packDir(), 0o600)
	if err != nil {
		return err
	}
	defer scratch.Discard()
	in := &metered{r: r, sink: c.progress}
	got, err := pack.Receive(ctx, in, file.File, scratch.File, nil)
	in.end(err)
	if err != nil {
		return fmt.Errorf("receiving objects: %w", err)
	}
	base := filepath.Join(c.packDir(), "pack-"+got.Sum.String())
	if err := file.Publish(base + ".pack"); err != nil {
		return err
	}
	if err := fault.Point("source.pack.published"); err != nil {
		return err
	}
	if err := durable.WriteFile(base+".idx", got.Index, 0o400); err != nil {
		return err
	}
	c.reopen()
	return nil
}

// metered bounds what is received, and reports how much it is, if it is much.
type metered struct {
	r    io.Reader
	sink progress.Sink
	task *progress.Task
	n    int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.n += int64(n)
	switch {
	case m.n > maxFetch:
		return 0, fmt.Errorf("there is more than %d GiB; keep images out of the config repo, and name them by URL and sha256", maxFetch>>30)
	case m.task != nil:
		m.task.Add(int64(n))
	case m.n >= shownFrom:
		m.task = progress.Start(m.sink, "fetch config repo", 0)
		m.task.Add(m.n)
	}
	return n, err
}

func (m *metered) end(err error) {
	if m.task != nil {
		m.task.End(err)
	}
}
