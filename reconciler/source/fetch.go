package source

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// obtain brings the branch's tip and all that belongs to it into the clone, and
// admits it. What a fetch brings rests on what the clone has; where that is not
// what it should be, as after a server that held something back, all is fetched
// once more.
func (s *Source) obtain(ctx context.Context, applied string) (tip plumbing.Hash, err error) {
	for whole := false; ; whole = true {
		if tip, err = s.bring(ctx, whole); err != nil {
			return tip, err
		}
		err = s.admit(ctx, tip, applied)
		if err == nil || whole || !s.heldBack(ctx, tip, err) {
			return tip, err
		}
	}
}

// heldBack reports whether a refusal may come of what the clone lacks, though
// the remote does not say that it lacks it, too.
func (s *Source) heldBack(ctx context.Context, tip plumbing.Hash, refusal error) bool {
	if errors.Is(refusal, plumbing.ErrObjectNotFound) {
		return true
	}
	rewritten, older := (*RewrittenError)(nil), (*OlderError)(nil)
	if !errors.As(refusal, &rewritten) && !errors.As(refusal, &older) {
		return false
	}
	for at, err := range s.clone.history(ctx, tip) {
		if err != nil {
			return false
		}
		if !at.lacking.IsZero() && !slices.Contains(s.said, at.commit) {
			return true
		}
	}
	return false
}

// bring has the clone hold the branch's tip, or all of its history anew.
func (s *Source) bring(ctx context.Context, whole bool) (tip plumbing.Hash, err error) {
	err = s.converse(ctx, func(allowed *silence) (err error) {
		tip, err = s.fetch(ctx, allowed, whole)
		return err
	})
	return tip, err
}

func (s *Source) fetch(ctx context.Context, allowed *silence, whole bool) (plumbing.Hash, error) {
	sess, err := s.remote.open(ctx, allowed)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer sess.Close()
	tip, err := sess.tip(s.opts.Branch)
	if err != nil {
		return tip, err
	}
	if s.said, err = sess.shallow(); err != nil || !whole && s.clone.has(tip) {
		return tip, err
	}
	return tip, s.receive(ctx, sess, tip, whole)
}

// receive fetches. A clone whose packs could not be joined lacks something of
// its history, and gets all of it.
func (s *Source) receive(ctx context.Context, sess session, tip plumbing.Hash, whole bool) error {
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.clone.ensure(); err != nil {
		return fmt.Errorf("making the clone %s: %w", s.opts.Dir, err)
	}
	packs, err := s.clone.packs()
	if err != nil {
		return err
	}
	whole = whole || len(packs) > maxPacks
	s.opts.Log.Info("fetching", "repo", s.opts.URL, "commit", tip.String())
	if err := sess.fetch(ctx, tip, s.clone, whole); err != nil {
		return fmt.Errorf("fetching commit %s of %s: %w", tip, s.opts.URL, err)
	}
	if !s.clone.has(tip) {
		return fmt.Errorf("fetching %s: the server did not send commit %s; check the repo with git fsck", s.opts.URL, tip)
	}
	return s.clone.settleShallow(ctx, s.said)
}

// lock waits for other processes, but not for ever.
func (s *Source) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	return s.clone.lock(ctx)
}

// converse runs one operation, and tells a silence that ended it from the
// caller's own end and from other faults.
func (s *Source) converse(ctx context.Context, op func(*silence) error) error {
	allowed := &silence{after: s.opts.Timeout}
	err := op(allowed)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("reading %s: %w", s.opts.URL, ctx.Err())
	case allowed.broken.Load():
		return &TimeoutError{URL: s.opts.URL, After: s.opts.Timeout}
	}
	return err
}
