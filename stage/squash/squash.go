// Package squash packs one layer: its tar is read once, verified, rewritten for
// overlayfs and given to tar2sqfs, which makes a squashfs of it. What the layer
// names and does not hold is taken from the layers below.
//
// It knows files, and nothing of a stage.
package squash

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/internal/program"
)

// Squasher is how layers are packed, as layer records tell it. Of a Debian
// root file system zstd's level 1 makes 133 MB and level 3 makes 128 MB, for
// two thirds more work; level 15 takes many times as long for a tenth less.
const Squasher = "tar2sqfs -c zstd -X level=1"

// squashArgs are tar2sqfs's (of squashfs-tools-ng) arguments: quiet; the
// output exists already, with its mode; an entry that it cannot take is an
// error and not skipped.
func squashArgs(path string) []string {
	return []string{"--quiet", "--force", "--no-skip", "--compressor", "zstd", "--comp-extra", "level=1", path}
}

// pipeSize is the most that an unprivileged process may ask for.
const pipeSize = 1 << 20

// A squash is a running tar2sqfs, to which a tar is written.
type squash struct {
	*bufio.Writer
	pipe   *os.File
	cmd    *exec.Cmd
	stderr bytes.Buffer
}

// startSquash starts tar2sqfs. It is killed when ctx ends.
func startSquash(ctx context.Context, path string) (*squash, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start tar2sqfs: %w", err)
	}
	defer r.Close()
	// A bigger pipe saves switches; the default works too.
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeSize)
	q := &squash{pipe: w, Writer: bufio.NewWriterSize(w, chunkSize)}
	q.cmd = program.Command(ctx, "tar2sqfs", squashArgs(path)...)
	q.cmd.Stdin = r
	q.cmd.Stderr = &q.stderr
	if err := q.cmd.Start(); err != nil {
		w.Close()
		return nil, notStarted(err)
	}
	return q, nil
}

func notStarted(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("tar2sqfs is not installed; install the package squashfs-tools-ng")
	}
	return fmt.Errorf("start tar2sqfs: %w", err)
}

// finish tells tar2sqfs that the tar is complete, and waits for it.
func (q *squash) finish() error {
	err := q.Flush()
	if cerr := q.pipe.Close(); err == nil {
		err = cerr
	}
	if werr := q.cmd.Wait(); werr != nil {
		return q.explain(werr)
	}
	if err != nil {
		return fmt.Errorf("write to tar2sqfs: %w", err)
	}
	if q.stderr.Len() > 0 {
		return fmt.Errorf("tar2sqfs warns: %s", q.said())
	}
	return nil
}

// abandon ends a tar2sqfs whose output is not wanted, after its context was
// cancelled: without that it would take a short tar for a whole one.
func (q *squash) abandon() error {
	err := q.cmd.Wait()
	q.pipe.Close()
	if q.stderr.Len() == 0 {
		return nil
	}
	return q.explain(err)
}

// explain makes an error of how tar2sqfs ended and what it said.
func (q *squash) explain(err error) error {
	return fmt.Errorf("tar2sqfs: %s: %w", q.said(), err)
}

// said is what tar2sqfs wrote to stderr, on one line of bounded length.
func (q *squash) said() string {
	text := strings.Join(strings.Fields(q.stderr.String()), " ")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return text
}
