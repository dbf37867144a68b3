package source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/reconciler/source/pack"
)

// addShallow notes commits whose parents the remote does not have either, in
// git's own file, so that their absence is not taken for damage.
func (c *clone) addShallow(commits []plumbing.Hash) error {
	if len(commits) == 0 {
		return nil
	}
	st := c.storage()
	all, err := st.Shallow()
	if err != nil {
		return err
	}
	lines := make([]string, 0, len(all)+len(commits))
	for _, h := range slices.Concat(all, commits) {
		lines = append(lines, h.String()+"\n")
	}
	slices.Sort(lines)
	data := strings.Join(slices.Compact(lines), "")
	return durable.WriteFile(filepath.Join(c.dir, "shallow"), []byte(data), 0o600)
}

// shallowParents lists the commits at which a walk back must end. The caller
// holds c.mu.
func (c *clone) shallowParents() []plumbing.Hash {
	shallow, err := c.st.Shallow()
	if err != nil {
		return nil
	}
	var absent []plumbing.Hash
	for _, h := range shallow {
		if commit, err := object.GetCommit(c.st, h); err == nil {
			absent = append(absent, commit.ParentHashes...)
		}
	}
	return absent
}

// compact joins the packs into one when they have become many. What is not
// reachable from HEAD is left out.
func (c *clone) compact(ctx context.Context) error {
	old, err := c.packs()
	if err != nil || len(old) <= maxPacks {
		return err
	}
	shallow, err := c.storage().Shallow()
	if err != nil {
		return err
	}
	from, err := pack.Open(c.objects())
	if err != nil {
		return err
	}
	defer from.Close()
	all, err := missing(ctx, from, nil, c.tip, shallow)
	if err != nil {
		return fmt.Errorf("joining %d packs: %w", len(old), err)
	}
	if err := c.addObjects(ctx, from, all); err != nil {
		return fmt.Errorf("joining %d packs: %w", len(old), err)
	}
	now, err := c.packs()
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
