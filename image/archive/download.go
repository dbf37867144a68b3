package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/image/internal/exchange"
	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/ctxio"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/flock"
	"github.com/gitboot/gitboot/internal/progress"
)

// Options say how to download.
type Options struct {
	// CacheDir keeps downloaded archives, named by their sha256.
	CacheDir string
	// Insecure allows certificates that nobody vouches for.
	Insecure bool
	// Reserve is how much of the file system's room is left free, in bytes; 0
	// means durable.Room's default.
	Reserve   int64
	Expansion expand.Expansion
	// Connections are shared with others.
	Connections *exchange.Connections
	Timing      exchange.Timing
	Log         *slog.Logger
	Progress    progress.Sink
}

// Download brings a file to opts.CacheDir, named by its digest, and returns
// its path. What a run before this one brought of it is kept.
func Download(ctx context.Context, address string, want v1.Hash, opts Options) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", errors.New("the URL is not of the form https://host/path")
	}
	if opts.CacheDir == "" {
		return "", errors.New("there is no folder to keep downloads in")
	}
	if err := durable.MkdirAll(opts.CacheDir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(opts.CacheDir, want.Hex)
	d := &downloading{url: u, want: want, opts: opts}
	if err := d.begin(ctx, path+".part"); err != nil {
		return "", err
	}
	defer d.part.Close()
	// Looked at under the lock: another process may just have finished it.
	if _, err := os.Stat(path); err == nil {
		return path, durable.Remove(d.part.Name())
	}
	task := progress.Start(opts.Progress, "download "+want.Hex[:12], 0)
	err = d.run(ctx, task, path)
	task.End(err)
	if errors.Is(err, unix.ENOSPC) || errors.As(err, new(*expand.ExpansionError)) {
		// What cannot become whole must not keep the room either.
		err = errors.Join(err, os.Remove(d.part.Name()))
	}
	return path, err
}

// A downloading is a partial file and the hash of what it holds.
type downloading struct {
	url  *url.URL
	want v1.Hash
	opts Options
	part *os.File
	hash hash.Hash
	off  int64
}

// begin opens the partial file, locks it and hashes what is there.
func (d *downloading) begin(ctx context.Context, path string) (err error) {
	if d.part, err = lockPart(ctx, path); err != nil {
		return err
	}
	d.hash = sha256.New()
	d.off, err = io.Copy(d.hash, ctxio.Reader(ctx, d.part))
	if err != nil {
		return errors.Join(err, d.part.Close())
	}
	return nil
}

// lockPart waits for whoever else downloads the same. The file that they
// leave behind may no longer be the one at path: then it is opened again.
func lockPart(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock.Exclusive(ctx, f); err != nil {
			return nil, errors.Join(fmt.Errorf("wait for another download of it: %w", err), f.Close())
		}
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		f.Close()
	}
}

// run fetches, verifies and publishes. What an earlier run left may be of
// another file, so when that makes a false whole it is fetched anew, once.
func (d *downloading) run(ctx context.Context, task *progress.Task, path string) error {
	resumed := d.off > 0
	if err := d.all(ctx, task); err != nil {
		return err
	}
	if resumed && untrusted.Hash(d.hash) != d.want {
		if err := d.restart(); err != nil {
			return err
		}
		if err := d.all(ctx, task); err != nil {
			return err
		}
	}
	return d.publish(path)
}

// all fetches until the file is whole, patient as with a registry.
func (d *downloading) all(ctx context.Context, task *progress.Task) error {
	task.Add(d.off)
	transport, err := d.opts.Connections.Transport(true, d.opts.Insecure)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: transport}
	patience := exchange.Patience{Timing: d.opts.Timing, Log: d.opts.Log}
	failures, failedAt := 0, d.off
	for {
		err := d.fetch(ctx, client, task)
		if err == nil || ctx.Err() != nil || !exchange.Passing(err) {
			return errors.Join(err, ctx.Err())
		}
		if d.off-failedAt >= exchange.Stride {
			failures = 0
		}
		failures, failedAt = failures+1, d.off
		if failures >= d.opts.Timing.Attempts {
			return fmt.Errorf("after %d attempts: %w", failures, err)
		}
		if err := patience.Pause(ctx, failures, err); err != nil {
			return err
		}
	}
}

// fetch asks for the rest of the file and appends what comes.
func (d *downloading) fetch(ctx context.Context, client *http.Client, task *progress.Task) error {
	w := exchange.Watch(ctx, d.opts.Timing)
	defer w.Stop()
	req, err := http.NewRequestWithContext(w.Context(), http.MethodGet, d.url.String(), nil)
	if err != nil {
		return untrusted.Clean(err)
	}
	if d.off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.off))
	}
	resp, err := client.Do(req)
	if unknown := exchange.UnknownHost(err); unknown != nil {
		return unknown
	}
	if err != nil {
		return untrusted.Clean(w.Cause(err))
	}
	body := w.Received(resp.Body)
	defer body.Close()
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		// The part is already all there is.
		return nil
	case resp.StatusCode == http.StatusOK:
		if err := d.restart(); err != nil {
			return err
		}
	case resp.StatusCode != http.StatusPartialContent:
		return fmt.Errorf("%w; check the URL and who may read it", exchange.NewStatusError(resp))
	case !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", d.off)):
		return &untrusted.UnsupportedError{What: "the server's answer", Reason: "not the range that was asked for", Remedy: "serve the file from another server"}
	}
	if err := d.fits(max(resp.ContentLength, 1)); err != nil {
		return err
	}
	_, err = io.Copy(&fitting{downloading: d}, io.TeeReader(body, task))
	if _, known := exchange.Lasting(err); err != nil && !known {
		return fmt.Errorf("cut at byte %d: %w", d.off, untrusted.Clean(err))
	}
	return err
}

// restart drops what there is, for a server that sends the whole file.
func (d *downloading) restart() error {
	d.off = 0
	d.hash.Reset()
	if err := d.part.Truncate(0); err != nil {
		return err
	}
	_, err := d.part.Seek(0, io.SeekStart)
	return err
}

func (d *downloading) fits(need int64) error {
	room, err := durable.Room(d.opts.CacheDir, d.opts.Reserve)
	if err != nil {
		return err
	}
	if bound := d.opts.Expansion.Bound(0); d.off+need > bound {
		return &expand.ExpansionError{What: "the download", Bound: bound}
	}
	if need > room {
		return &noRoomError{d.opts.CacheDir, need, room}
	}
	return nil
}

// A noRoomError says that a download does not fit.
type noRoomError struct {
	dir        string
	need, room int64
}

func (e *noRoomError) Error() string {
	return fmt.Sprintf("the download needs at least %d MiB more, in %s may be written %d MiB; make room there", (e.need+1<<20-1)>>20, e.dir, e.room>>20)
}

func (e *noRoomError) Unwrap() error { return unix.ENOSPC }

// fitting appends to the partial file as long as there is room: a server need
// not say how much will come.
type fitting struct {
	*downloading
	unseen int64 // bytes written since the room was looked at
}

// lookEvery is how often.
const lookEvery = 16 << 20

func (f *fitting) Write(p []byte) (int, error) {
	if f.unseen += int64(len(p)); f.unseen >= lookEvery {
		f.unseen = 0
		if err := f.fits(int64(len(p))); err != nil {
			return 0, err
		}
	}
	n, err := f.part.Write(p)
	f.hash.Write(p[:n])
	f.off += int64(n)
	return n, err
}

// publish verifies the file and gives it its name.
func (d *downloading) publish(path string) error {
	if got := untrusted.Hash(d.hash); got != d.want {
		return errors.Join(&untrusted.DigestError{What: "the file", From: untrusted.CleanText(d.url.String()), Want: d.want.String(), Got: got.String()}, os.Remove(d.part.Name()))
	}
	if err := d.part.Sync(); err != nil {
		return err
	}
	if err := os.Rename(d.part.Name(), path); err != nil {
		return err
	}
	return durable.SyncDir(d.opts.CacheDir)
}
