// Package proposal makes the commit that takes others back: its parent is the last of
// them, and its tree the one from before the first, so that nothing can conflict.
package proposal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gitboot/gitboot/reconciler/source/clone"
	"github.com/gitboot/gitboot/reconciler/source/commit"
)

// ErrNothing says that there is nothing to take back, as an error of errors.Is.
var ErrNothing = errors.New("there is nothing to take back")

// maxNamed is how many commits are named.
const maxNamed = 20

// A Reverted is a commit that is taken back.
type Reverted struct{ Hash, Subject string }

// A Commit is one that takes all after Good up to Bad back.
type Commit struct {
	Good, Bad string
	// Who makes it, as NAME <MAIL>, and When.
	Who  string
	When time.Time
	// Message is made of the commits that are taken back, the newest first, and of how
	// many they are: not more than some are named.
	Message func(named []Reverted, count int) string
}

// Encode is the commit as git has it. The clone has the commits.
func (c Commit) Encode(ctx context.Context, in *clone.Clone) ([]byte, error) {
	bad, err := in.Commit(plumbing.NewHash(c.Bad))
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", c.Bad, err)
	}
	good, err := in.Commit(plumbing.NewHash(c.Good))
	if err != nil {
		return nil, fmt.Errorf("reading commit %s: %w", c.Good, err)
	}
	if good.Tree == bad.Tree {
		return nil, fmt.Errorf("%w: commits %.12s and %.12s have the same files", ErrNothing, c.Good, c.Bad)
	}
	if err := after(ctx, in, good.Hash, bad.Hash); err != nil {
		return nil, err
	}
	old, err := history(ctx, in, good.Hash, nil)
	if err != nil {
		return nil, err
	}
	gone, err := history(ctx, in, bad.Hash, old)
	if err != nil {
		return nil, err
	}
	named, err := c.named(ctx, in, bad, old)
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("tree %s\nparent %s\n", good.Tree, bad.Hash)
	for _, role := range []string{"author", "committer"} {
		head += fmt.Sprintf("%s %s %d +0000\n", role, c.Who, c.When.Unix())
	}
	out := []byte(head + "\n" + strings.TrimSpace(c.Message(named, len(gone))) + "\n")
	_, err = commit.Parse(out) // in the form that others, too, take
	return out, err
}

// after reports that a commit does not come after another.
func after(ctx context.Context, in *clone.Clone, good, bad plumbing.Hash) error {
	follows, err := in.IsAncestor(ctx, good, bad)
	if err == nil && !follows {
		err = fmt.Errorf("%w: commit %.12s does not come after %.12s, the history was rewritten", ErrNothing, bad, good)
	}
	return err
}

// history is all of a history that is not old.
func history(ctx context.Context, in *clone.Clone, tip plumbing.Hash, old map[plumbing.Hash]bool) (map[plumbing.Hash]bool, error) {
	all := map[plumbing.Hash]bool{}
	for at, err := range in.History(ctx, tip, old) {
		if err != nil {
			return nil, err
		}
		all[at.Commit] = true
	}
	return all, nil
}

// named are the first commits that are taken back.
func (c Commit) named(ctx context.Context, in *clone.Clone, bad *commit.Commit, old map[plumbing.Hash]bool) (named []Reverted, err error) {
	for at, err := range in.History(ctx, bad.Hash, old) {
		if err != nil {
			return nil, err
		}
		one, err := in.Commit(at.Commit)
		if err != nil {
			return nil, err
		}
		subject, _, _ := strings.Cut(strings.TrimLeft(one.Message, "\n"), "\n")
		if named = append(named, Reverted{at.Commit.String(), subject}); len(named) == maxNamed {
			break
		}
	}
	return named, nil
}
