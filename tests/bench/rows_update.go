package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gitboot/gitboot/tests/lab"
)

// slowLink is 50 Mbit/s, in bytes.
const slowLink = 50_000_000 / 8

// updateNote says of what system the figures are.
const updateNote = "Debian 12 with kernel, servers and libraries (`systemPackages` in tests/bench/update.go), from its last point release to all updates since; bytes are those of blobs that the registry has sent."

// updateReadyMade counts what an update takes whose layers are ready-made: by blocks, or
// by a patch, for who follows closely.
func updateReadyMade(name string, patch bool, limit float64) func(context.Context, *site, row) (result, error) {
	return func(ctx context.Context, s *site, _ row) (result, error) {
		u, err := s.theUpdate(ctx)
		if err != nil {
			return result{}, err
		}
		w, err := s.readyUpdate(ctx, u, name, patch)
		if err != nil {
			return result{}, err
		}
		u.link.Sent()
		took, err := w.reconcile(ctx)
		if err != nil {
			return result{}, err
		}
		sent := u.link.Sent()
		if err := w.cold(ctx, 0); err != nil {
			return result{}, err
		}
		if _, err := w.reconcile(ctx); err != nil {
			return result{}, err
		}
		return result{
			Ours:     fmt.Sprintf("%s in %s", megabytes(sent), seconds(took.Wall.Seconds())),
			Theirs:   fmt.Sprintf("%s; all of it %s", megabytes(u.changedPacked), megabytes(u.link.Sent())),
			Checks:   []check{atMost(float64(sent)/float64(u.changedPacked), limit)},
			Commands: []string{shown("reconcile --once"), "tar2sqfs -c zstd -X level=1 changed.squashfs < changed.tar"},
			Note:     updateNote,
		}, nil
	}
}

// readyUpdate makes a machine that has the old system, and wants the new one.
func (s *site) readyUpdate(ctx context.Context, u *update, name string, patch bool) (*world, error) {
	publisher, err := s.alone()
	if err != nil {
		return nil, err
	}
	old, _, err := u.registry.Push(ctx, name+":old", nil, lab.Layer{Path: u.old})
	if err != nil {
		return nil, err
	}
	text := func(ref string) string { return fmt.Sprintf(madeConfig, ref, `objects_from = ["builder"]`) }
	w, err := s.configured(ctx, text(old))
	if err != nil {
		return nil, err
	}
	if err := w.trustBuilder(ctx); err != nil {
		return nil, err
	}
	if err := w.publish(ctx, publisher, old); err != nil {
		return nil, err
	}
	if _, err := w.reconcile(ctx); err != nil {
		return nil, err
	}
	new, _, err := u.registry.Push(ctx, name+":new", nil, lab.Layer{Path: u.new})
	if err != nil {
		return nil, err
	}
	var flags []string
	if patch {
		flags = []string{"--patch-from", old}
	}
	if err := w.publish(ctx, publisher, new, flags...); err != nil {
		return nil, err
	}
	return w, w.commit(ctx, text(new))
}

// alone is a gitboot without gitboot-init beside it, which publishes neither kernel nor
// initramfs: so layers alone are counted.
func (s *site) alone() (string, error) {
	path := s.path("alone", "gitboot")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	if err := os.Link(s.gitboot, path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}

// updateChunked counts what an update of somebody else's image takes over 50 Mbit/s, and
// compares the time with that of a whole pull.
func updateChunked(ctx context.Context, s *site, _ row) (result, error) {
	c, err := s.chunkedUpdate(ctx)
	if err != nil {
		return result{}, err
	}
	c.u.link.Limit(slowLink)
	defer c.u.link.Limit(0)
	if err := c.stageOld(ctx, true); err != nil {
		return result{}, err
	}
	c.u.link.Sent()
	parts, err := c.reconcile(ctx)
	if err != nil {
		return result{}, err
	}
	sent := c.u.link.Sent()
	if err := c.stageOld(ctx, false); err != nil {
		return result{}, err
	}
	whole, err := c.reconcile(ctx)
	if err != nil {
		return result{}, err
	}
	time := atMost(parts.Wall.Seconds()/whole.Wall.Seconds(), 0.8)
	time.Target = "time over 50 Mbit/s: " + time.Target + " the whole layer's"
	return result{
		Ours:     fmt.Sprintf("%s in %s", megabytes(sent), seconds(parts.Wall.Seconds())),
		Theirs:   fmt.Sprintf("%s; all of it %s in %s", megabytes(c.u.changedStream), megabytes(c.u.link.Sent()), seconds(whole.Wall.Seconds())),
		Checks:   []check{atMost(float64(sent)/float64(c.u.changedStream), 1.2), time},
		Commands: []string{shown("reconcile --once"), "zstd -3 changed.tar"},
		Note:     updateNote,
	}, nil
}

// updateChunkedNear compares the time of it with that of a whole pull where the network is
// fast.
func updateChunkedNear(ctx context.Context, s *site, r row) (result, error) {
	c, err := s.chunkedUpdate(ctx)
	if err != nil {
		return result{}, err
	}
	run := func(ctx context.Context, _ int) (usage, error) { return c.reconcile(ctx) }
	prepare := func(knows bool) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error { return c.stageOld(ctx, knows) }
	}
	ours := side{command: shown("reconcile --once"), prepare: prepare(true), run: run}
	theirs := side{command: shown("reconcile --once") + ", without STAGE/contents", prepare: prepare(false), run: run}
	res, err := timed(ctx, r, ours, theirs, func(ratio float64) check { return atMost(ratio, 1.1) })
	res.Note = updateNote
	return res, err
}

// A chunkedUpdate is a machine that has the update's old system, in one zstd:chunked layer,
// and whose config repo wants the new one.
type chunkedUpdate struct {
	*world
	u *update
	// before is a copy of its stage.
	before string
}

func (s *site) chunkedUpdate(ctx context.Context) (*chunkedUpdate, error) {
	u, err := s.theUpdate(ctx)
	if err != nil || u.chunked != nil {
		return u.chunked, err
	}
	old, err := u.pushChunked(ctx, "chunked:old", s.path("old.tar"), u.old)
	if err != nil {
		return nil, err
	}
	c := &chunkedUpdate{u: u, before: s.path("chunked-before")}
	if c.world, err = s.newWorld(ctx, old, ""); err != nil {
		return nil, err
	}
	if _, err := c.world.reconcile(ctx); err != nil {
		return nil, err
	}
	if _, err := lab.Run(ctx, "cp", "-a", "--reflink=auto", c.stage, c.before); err != nil {
		return nil, err
	}
	new, err := u.pushChunked(ctx, "chunked:new", s.path("new.tar"), u.new)
	if err != nil {
		return nil, err
	}
	u.chunked = c
	return c, c.want(ctx, new)
}

// pushChunked pushes an image of one layer. What is made for that lies beside link.
func (u *update) pushChunked(ctx context.Context, tag, link, tar string) (ref string, err error) {
	if err := os.Symlink(tar, link); err != nil {
		return "", err
	}
	l, err := lab.Chunked(ctx, link)
	if err != nil {
		return "", err
	}
	ref, _, err = u.registry.Push(ctx, tag, nil, l)
	return ref, errors.Join(err, os.Remove(link), os.Remove(l.Packed))
}

// stageOld makes the stage what it was before the update, with or without what it knows of
// its files.
func (c *chunkedUpdate) stageOld(ctx context.Context, knows bool) error {
	if err := c.cold(ctx, 0); err != nil {
		return err
	}
	if _, err := lab.Run(ctx, "cp", "-a", "--reflink=auto", c.before, c.stage); err != nil || knows {
		return err
	}
	return os.RemoveAll(filepath.Join(c.stage, "contents"))
}
