package workshop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/state"
	"github.com/gitboot/gitboot/spec"
)

// logsKept is how many logs of an image's builds are kept.
const logsKept = 10

// followEvery is how often a log that is followed is looked at.
const followEvery = 200 * time.Millisecond

// logDir holds the logs of an image's builds.
func (s *Shop) logDir(name string) string { return filepath.Join(s.Stage.Builds(), name) }

// logsIn are the names of the logs in a folder, oldest first. What the folder is called
// is no pattern.
func logsIn(dir string) ([]string, error) {
	logs, err := fs.Glob(os.DirFS(dir), "*.log")
	slices.Sort(logs)
	return logs, err
}

// openLog begins a log, and removes the oldest beyond those that are kept. It
// is locked as long as the build runs.
func (s *Shop) openLog(name string) (io.WriteCloser, error) {
	dir := s.logDir(name)
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	old, err := logsIn(dir)
	if err != nil {
		return nil, err
	}
	for _, log := range old[:max(0, len(old)-logsKept+1)] {
		if err := os.Remove(filepath.Join(dir, log)); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(filepath.Join(dir, s.Now().UTC().Format("20060102T150405.000000000Z")+".log"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// noLog says that an image was not built here.
func (s *Shop) noLog(name string) error {
	logs, err := fs.Glob(os.DirFS(s.Stage.Builds()), "*/*.log")
	if err != nil {
		return err
	}
	var built []string
	for _, path := range logs {
		built = append(built, filepath.Base(filepath.Dir(path)))
	}
	slices.Sort(built)
	return &state.NameError{None: "this machine has built no image", Name: name, Known: slices.Compact(built), Remedy: "`gitboot image build` builds what is declared with build"}
}

// Show writes the log of an image's last build. If that build still runs,
// follow goes on until it has ended.
func (s *Shop) Show(ctx context.Context, name string, follow bool, w io.Writer) error {
	f, err := s.lastLog(name)
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		ended := !follow || unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) == nil
		if _, err := io.Copy(w, f); err != nil || ended {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// Tail is the end of the log of an image's last build, of so many bytes at most.
func (s *Shop) Tail(name string, size int64) (string, error) {
	f, err := s.lastLog(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	from := max(0, info.Size()-size)
	data, err := io.ReadAll(io.NewSectionReader(f, from, size))
	if _, rest, cut := strings.Cut(string(data), "\n"); cut && from > 0 {
		return rest, err // a line of which the beginning lacks is none
	}
	return string(data), err
}

// lastLog opens the log of an image's last build.
func (s *Shop) lastLog(name string) (*os.File, error) {
	if spec.WrongText("name", name) != "" {
		return nil, &state.NameError{None: "there can be no image", Name: name}
	}
	logs, err := logsIn(s.logDir(name))
	if err != nil {
		return nil, err
	}
	if len(logs) == 0 {
		return nil, s.noLog(name)
	}
	return os.Open(filepath.Join(s.logDir(name), slices.Max(logs)))
}
