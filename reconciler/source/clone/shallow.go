package clone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// A remote may say that it lacks the parents of some commits. It is asked each
// time, and believed only where those parents are lacking indeed: a lie would
// otherwise cut the history short for good, and make each honest tip a rewritten
// one. What is recorded is for git, which takes their absence for damage; here
// nothing rests on it.

func (c *Clone) shallowFile() string { return filepath.Join(c.dir, "shallow") }

// SettleShallow records, of what the remote said and what was recorded before,
// what is true.
func (c *Clone) SettleShallow(ctx context.Context, said []plumbing.Hash) error {
	before, err := os.ReadFile(c.shallowFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	all := slices.Clone(said)
	for line := range strings.Lines(string(before)) {
		all = append(all, plumbing.NewHash(strings.TrimSpace(line)))
	}
	if len(all) == 0 {
		return nil
	}
	own, err := pack.Open(ctx, c.objects())
	if err != nil {
		return err
	}
	defer own.Close()
	w := &walker{from: own}
	lines := map[string]bool{}
	for _, h := range all {
		if at, err := w.link(h); err == nil && !at.Lacking.IsZero() {
			lines[h.String()+"\n"] = true
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(lines) > 0 {
		return record(c.shallowFile(), slices.Sorted(maps.Keys(lines)))
	}
	if err := os.Remove(c.shallowFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(c.dir)
}

// record writes lines, unless they are there.
func record(path string, lines []string) error {
	data := strings.Join(lines, "")
	if old, err := os.ReadFile(path); err == nil && string(old) == data {
		return nil
	}
	return durable.WriteFile(path, []byte(data), 0o600)
}

// Compact joins the packs into one when they have become many. What roots do not need is
// left out. Where they lack something they stay as they are.
func (c *Clone) Compact(ctx context.Context, roots ...Root) error {
	old, err := c.Packs()
	if err != nil || len(old) <= MaxPacks {
		return err
	}
	from, err := pack.Open(ctx, c.objects())
	if err != nil {
		return err
	}
	defer from.Close()
	all, err := missing(from, nil, roots, func(plumbing.Hash) bool { return true })
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		c.log.Warn("the clone lacks a part of the history, which the next fetch brings", "dir", c.dir, "reason", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("joining %d packs: %w", len(old), err)
	}
	in, err := newIntake(c)
	if err != nil {
		return err
	}
	defer in.Discard()
	if err := in.addObjects(ctx, from, all); err != nil {
		return fmt.Errorf("joining %d packs: %w", len(old), err)
	}
	if err := in.Admit(); err != nil {
		return err
	}
	now, err := c.Packs()
	if err != nil {
		return err
	}
	if len(now) == len(old) {
		return nil // the joined pack was there already
	}
	var errs []error
	for _, base := range old {
		// the index first: a pack without one is a leftover, never a lie
		errs = append(errs, os.Remove(base+".idx"), os.Remove(base+".pack"))
	}
	c.reopen()
	return errors.Join(append(errs, durable.SyncDir(c.packDir()))...)
}
