package cut

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// work checks states of every so many-th epoch, n being the first, on disks in dir.
// Few writes leave few states: what of the budget such epochs do not take, the others
// have in another round.
func (c *checker) work(ctx context.Context, t *testing.T, dir string, n, budget int) error {
	if err := os.MkdirAll(point(dir), 0o755); err != nil {
		return err
	}
	for round := 0; budget > 0 && ctx.Err() == nil; round++ {
		done, err := c.round(ctx, t, dir, n, round, budget)
		if err != nil {
			return err
		}
		if done == 0 {
			break
		}
		budget -= done
	}
	return ctx.Err()
}

// point is where a worker mounts its disk.
func point(dir string) string { return filepath.Join(dir, "mnt") }

// round goes once through the life, and returns how many states were looked at.
func (c *checker) round(ctx context.Context, t *testing.T, dir string, n, round, budget int) (all int, err error) {
	d, err := newDisk(dir, c.image)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	var entries int
	for i, e := range c.epochs {
		if i%workers == n && !c.exhausted[i] {
			remain := (len(c.epochs)-i-1)/workers + 1
			check := func(s state, try int) error {
				return c.check(ctx, d, s, c.possible(entries), try%2 == 0, point(dir))
			}
			done, err := c.epoch(ctx, t, d, i, round, max(1, (budget-all)/remain), check)
			if err != nil {
				return all, err
			}
			all += done
		}
		d.advance(e.writes)
		entries = e.entries
	}
	return all, nil
}

// enough is after how many tries without another state an epoch has none.
const enough = 100

// epoch has states of an epoch checked, up to a number, and returns how many there
// were.
func (c *checker) epoch(ctx context.Context, t *testing.T, d *disk, i, round, most int, check func(state, int) error) (done int, err error) {
	tries, since := 0, 0
	states(i, round, c.epochs[i], c.whole, func(s state) bool {
		tries++
		since++
		if c.first(d.sum(s.change)) {
			since = 0
			done++
			if err = d.become(s.change); err != nil {
				return false
			}
			c.report(t, s, check(s, tries))
		}
		c.exhausted[i] = since > enough
		return done < most && !c.exhausted[i] && ctx.Err() == nil
	})
	return done, err
}
