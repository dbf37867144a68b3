package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/approval"
	"github.com/gitboot/gitboot/reconciler/source/commit"
	"github.com/gitboot/gitboot/reconciler/source/pack"
	"github.com/gitboot/gitboot/reconciler/source/ref"
	"github.com/gitboot/gitboot/reconciler/source/tagged"
	"github.com/gitboot/gitboot/reconciler/source/transport"
	"github.com/gitboot/gitboot/reconciler/source/trust"
)

// errNoKeys says that nobody can approve by a tag.
var errNoKeys = errors.New("no key is trusted on this machine; name a file of keys in agent.toml, as approve_keys or trusted_keys")

// Approvals says what tags whose names match patterns (git's names, where * and ?
// match anything but a slash) say of the commit that was fetched: whether one of them
// approves of it. Those that Options.ApproveTags has are in what the remote has said;
// others are asked for. A tag that is seen for the first time is fetched. Of what
// cannot be had of the remote the verdicts tell; the error is this machine's own.
func Approvals(ctx context.Context, s *Source, of string, patterns []string) (map[string]approval.Verdict, error) {
	c := &inquiry{s, approval.Case{Of: plumbing.NewHash(of), Tags: s.tags, Lacking: map[plumbing.Hash]error{}}}
	c.Kept = approval.Of(filepath.Join(s.opts.Dir, "approvals"), c.Of)
	if c.Keys, c.Doubt = s.opts.approvers(); c.Doubt == nil {
		if err := c.complete(ctx, patterns); err != nil {
			return nil, fmt.Errorf("looking for tags that approve of commit %s: %w", of, err)
		}
		if err := c.giveOn(ctx, patterns); err != nil {
			return nil, fmt.Errorf("keeping tags that approve of commit %s: %w", of, err)
		}
	}
	verdicts := map[string]approval.Verdict{}
	for _, pattern := range patterns {
		verdicts[pattern] = c.Judge(pattern)
	}
	return verdicts, nil
}

// approvers are the keys whose tags approve.
func (o Options) approvers() (*trust.Keys, error) {
	file := cmp.Or(o.ApproveKeys, o.TrustedKeys)
	if file == "" {
		return nil, errNoKeys
	}
	return trust.Read(file)
}

// An inquiry finds out what is not known of a case.
type inquiry struct {
	*Source
	approval.Case
}

// complete asks for what is not known.
func (c *inquiry) complete(ctx context.Context, patterns []string) error {
	asked := func(pattern string) bool { return slices.Contains(c.opts.ApproveTags, pattern) }
	if !c.alone && len(slices.DeleteFunc(slices.Clone(patterns), asked)) > 0 {
		var err error
		if c.Tags, err = c.tagged(ctx, patterns); err != nil {
			c.Doubt = fmt.Errorf("tags could not be asked for: %w", err)
			return ctx.Err()
		}
	}
	for _, t := range c.Tags[:min(len(c.Tags), approval.MaxTags*len(patterns))] {
		if !t.Tag() || c.Kept.Has(t.Object) {
			continue
		}
		err := c.fetch(ctx, t)
		if ctx.Err() != nil || errors.Is(err, syscall.EROFS) {
			return err
		}
		c.Lacking[t.Object] = err
	}
	return nil
}

// giveOn keeps those tags for who follows the clone, whatever they say.
func (c *inquiry) giveOn(ctx context.Context, patterns []string) error {
	if c.alone || c.Doubt != nil || c.opts.Look {
		return nil
	}
	var tags []tagged.Tag
	for _, t := range c.Tags {
		if !t.Tag() {
			tags = append(tags, tagged.Tag{Name: t.Name})
		} else if content, err := c.Kept.Read(t.Object); err == nil {
			tags = append(tags, tagged.Tag{Name: t.Name, Content: content})
		}
	}
	return tell(ctx, c.Source, c.Of, tags, func(name string) bool { return ref.IsTag(name, patterns) })
}

// tagged asks which tags the commit has.
func (c *inquiry) tagged(ctx context.Context, patterns []string) (tags []ref.Chosen, err error) {
	err = c.converse(ctx, func(ctx context.Context, allowed *transport.Silence) error {
		sess, err := c.remote.open(ctx, allowed)
		if err != nil {
			return err
		}
		defer sess.Close()
		tags, err = sess.tagged(c.Of, patterns)
		return err
	})
	return tags, err
}

// fetch brings a tag, whatever it says, to where tags are kept. It goes through
// quarantine as all does that comes from a remote, and not into the clone.
func (c *inquiry) fetch(ctx context.Context, t ref.Chosen) error {
	var content []byte
	err := c.converse(ctx, func(ctx context.Context, allowed *transport.Silence) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		sess, err := c.remote.open(ctx, allowed)
		if err != nil {
			return err
		}
		defer sess.Close()
		in, err := c.intake(ctx)
		if err != nil {
			return err
		}
		in.Stop = stop
		in.Tip = &pack.Tip{Name: t.Object, Tag: true, Judge: func(raw []byte) error {
			content = slices.Clone(raw)
			return nil
		}}
		return errors.Join(sess.fetch(ctx, t, in, false), in.Discard())
	})
	switch {
	case err != nil:
		return fmt.Errorf("fetching it: %w", err)
	case len(content) > commit.MaxSize || plumbing.ComputeHash(plumbing.TagObject, content) != t.Object:
		return errors.New("fetching it: the server sent something else")
	}
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return c.Kept.Keep(content)
}
