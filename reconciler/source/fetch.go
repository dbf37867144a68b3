package source

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/transport"
)

// A candidate is what is to be admitted, and where it can be read: in the clone,
// or in quarantine.
type candidate struct {
	ref.Chosen
	beside plumbing.Hash // what opts.Beside names
	at     *clone.Clone
	in     *clone.Intake // nil: it was in the clone
	signed bool          // the tag, by a trusted key
	tags   []ref.Chosen  // of the commit, as opts.ApproveTags means them
}

func (c candidate) discard() error {
	if c.in == nil {
		return nil
	}
	return c.in.Discard()
}

// obtain brings what is followed and all that belongs to it into the clone, if
// it is admitted; else nothing of it stays. What a fetch brings rests on what the
// clone has; where that is not what it should be, as after a server that held
// something back, all is fetched once more.
func (s *Source) obtain(ctx context.Context, applied string) (candidate, error) {
	for whole := false; ; whole = true {
		found, err := s.bring(ctx, whole)
		if err != nil {
			return found, err
		}
		err = s.admit(ctx, &found, applied)
		again := err != nil && !whole && s.heldBack(ctx, found, err)
		if err == nil {
			err = s.join(ctx, found)
		}
		if err := errors.Join(err, found.discard()); !again || ctx.Err() != nil {
			return found, err
		}
	}
}

// heldBack reports whether a refusal may come of what the clone lacks, though
// the remote does not say that it lacks it, too.
func (s *Source) heldBack(ctx context.Context, found candidate, refusal error) bool {
	if errors.Is(refusal, plumbing.ErrObjectNotFound) {
		return true
	}
	rewritten, older := (*RewrittenError)(nil), (*OlderError)(nil)
	if !errors.As(refusal, &rewritten) && !errors.As(refusal, &older) {
		return false
	}
	for at, err := range found.at.History(ctx, found.Commit, nil) {
		if err != nil {
			return false
		}
		if !at.Lacking.IsZero() && !slices.Contains(s.said, at.Commit) {
			return true
		}
	}
	return false
}

// join makes what was admitted a part of the clone.
func (s *Source) join(ctx context.Context, found candidate) error {
	if found.in == nil {
		return nil
	}
	if err := found.in.Admit(); err != nil {
		return fmt.Errorf("adding commit %s to %s: %w", found.Commit, s.opts.Dir, err)
	}
	return s.clone.SettleShallow(ctx, s.said)
}

// bring finds what is followed, and fetches what the clone lacks of it, or all
// of its history anew.
func (s *Source) bring(ctx context.Context, whole bool) (found candidate, err error) {
	err = s.converse(ctx, func(ctx context.Context, allowed *transport.Silence) (err error) {
		found, err = s.fetch(ctx, allowed, whole)
		return err
	})
	return found, err
}

func (s *Source) fetch(ctx context.Context, allowed *transport.Silence, whole bool) (candidate, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	found := candidate{at: s.clone}
	sess, err := s.remote.open(ctx, allowed)
	if err != nil {
		return found, err
	}
	defer sess.Close()
	if found.Chosen, err = sess.choose(s.want); err != nil {
		return found, err
	}
	if s.opts.Beside != "" {
		if found.beside, err = sess.named(s.opts.Beside); err != nil {
			return found, err
		}
	}
	if len(s.opts.ApproveTags) > 0 {
		if found.tags, err = sess.tagged(found.Commit, s.opts.ApproveTags); err != nil {
			return found, err
		}
	}
	if s.said, err = sess.Shallow(); err != nil || !whole && s.clone.Has(found.Object) && s.clone.Has(found.Commit) {
		return found, err
	}
	if found.in, err = s.intake(ctx); err != nil {
		return found, err
	}
	found.in.Stop, found.at = stop, found.in.Clone
	if err := s.receive(ctx, sess, found, whole); err != nil {
		return found, errors.Join(err, found.discard())
	}
	return found, nil
}

// intake makes room for what is fetched, under the clone's lock.
func (s *Source) intake(ctx context.Context) (*clone.Intake, error) {
	unlock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	return s.clone.Intake(unlock)
}

// receive fetches. A clone whose packs could not be joined lacks something of
// its history, and gets all of it.
func (s *Source) receive(ctx context.Context, sess session, found candidate, whole bool) error {
	packs, err := s.clone.Packs()
	if err != nil {
		return err
	}
	whole = whole || len(packs) > clone.MaxPacks
	s.opts.Log.Info("fetching", "repo", s.opts.URL, "commit", found.Commit.String())
	var refused error
	found.in.Tip = &pack.Tip{Name: found.Object, Tag: found.Tag(), Judge: func(raw []byte) error {
		refused = s.tip(found, raw)
		return refused
	}}
	err = sess.fetch(ctx, found.Chosen, found.in, whole)
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return fmt.Errorf("fetching commit %s of %s: %w", found.Commit, s.opts.URL, err)
	case !found.at.Has(found.Commit):
		return fmt.Errorf("fetching %s: the server did not send commit %s; check the repo with git fsck", s.opts.URL, found.Commit)
	}
	return nil
}

// lock waits for other processes, but not for ever.
func (s *Source) lock(ctx context.Context) (unlock func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	return s.clone.Lock(ctx)
}

// converse runs one operation, and tells a silence that ended it, or that it
// went on for ever, from the caller's own end and from other faults.
func (s *Source) converse(ctx context.Context, op func(context.Context, *transport.Silence) error) error {
	allowed := &transport.Silence{After: s.opts.Timeout}
	within, cancel := context.WithTimeout(ctx, s.longest)
	defer cancel()
	err := op(within, allowed)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("reading %s: %w", s.opts.URL, ctx.Err())
	case within.Err() != nil:
		return fmt.Errorf("reading %s: it was not done after %v; is the server, or the network, that slow?", s.opts.URL, s.longest)
	case allowed.Broken.Load():
		return &TimeoutError{URL: s.opts.URL, After: s.opts.Timeout}
	}
	return err
}
