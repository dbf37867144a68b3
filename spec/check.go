package spec

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/problem"
)

// together is of how many machines the problems are held before they are joined.
const together = 32

// Check resolves machines, several side by side, and names all of their problems, as if
// they were resolved one after the other. Its error is as that of Resolve.
func (f *Fleet) Check(ctx context.Context, machines []string) error {
	for _, machine := range machines {
		if f.machines[machine] == nil {
			return &UnknownMachineError{Name: machine, Known: f.Machines()}
		}
	}
	var all problem.List
	left := bounds.MaxWorkInAll
some:
	for some := range slices.Chunk(machines, together) {
		for i, c := range f.checked(ctx, some, left) {
			spent := c.spent
			if left < bounds.MaxWork && spent > left {
				c = f.check(ctx, some[i], left, bounds.ErrWorkInAll)
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("resolving machine %s: %w", some[i], err)
			}
			if all.Join(&c.List); c.over || spent > left {
				break some
			}
			left -= spent
		}
	}
	f.checkSecrets(ctx, &all, machines)
	return f.judged(all.Err())
}

// A checked machine is what is wrong with it, and what it took to know.
type checked struct {
	problem.List
	spent int
	over  bool
}

// checked resolves some machines. Where one does too much, or all of them more than what
// is left, those after them are left out: nobody asks for these.
func (f *Fleet) checked(ctx context.Context, machines []string, left int) []checked {
	found := make([]checked, len(machines))
	var next, spent atomic.Int64
	var enough atomic.Bool
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(machines)) {
		workers.Go(func() {
			for !enough.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(machines) {
					return
				}
				found[i] = f.check(ctx, machines[i], bounds.MaxWork, bounds.ErrWork)
				if all := spent.Add(int64(found[i].spent)); found[i].over || int(all) > left {
					enough.Store(true)
				}
			}
		})
	}
	workers.Wait()
	return found
}

func (f *Fleet) check(ctx context.Context, machine string, left int, enough error) checked {
	r := f.resolver(&bounds.Meter{Ctx: ctx, Left: left, Enough: enough}, machine, f.machines[machine])
	r.wants()
	return checked{r.List, left - r.Left, r.over}
}
