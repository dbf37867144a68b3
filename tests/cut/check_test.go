package cut

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/gitboot/gitboot/deployment"
)

// A checker looks at states: at GRUB's view, at the mounted one, and at what the
// next run makes of them.
type checker struct {
	*recording
	grub   *grubReader
	hashes *hashes

	mu            sync.Mutex
	tried, failed int
	// refused are states that were mounted from a second device only.
	refused int
	// theirs are states in which a gitboot of before leaves GRUB to the distribution.
	theirs int
	// seen are the sums of states, and trees those of mounted ones, of which one of
	// so many is let go on.
	seen       map[sum]bool
	trees      map[string]bool
	converging int
	converged  int
	// exhausted are the epochs that have no other states, as far as is known. Each is
	// one worker's.
	exhausted []bool
}

func newChecker(t *testing.T, r *recording, converging int) *checker {
	return &checker{recording: r, grub: newGRUBReader(t, r.site, r.names()), hashes: &hashes{known: map[sum]string{}}, exhausted: make([]bool, len(r.epochs)), seen: map[sum]bool{}, trees: map[string]bool{}, converging: converging}
}

// report counts a state. Of many that fail the first ones tell enough.
func (c *checker) report(t *testing.T, s state, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried++
	if err == nil {
		return
	}
	if c.failed++; c.failed <= 20 {
		t.Errorf("state %s: %v", s.name, err)
	}
}

// first reports whether a state is other than all before.
func (c *checker) first(s sum) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.seen[s]
	c.seen[s] = true
	return !had
}

// goesOn reports whether a mounted disk is one that is to go on.
func (c *checker) goesOn(of string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.trees[of]
	c.trees[of] = true
	if had || len(c.trees)%c.converging != 0 {
		return false
	}
	c.converged++
	return true
}

// excused reports whether GRUB boots the distribution's entry because a gitboot of before
// is publishing a menu: it settled what it had published afterwards, so that GRUB finds
// none in between.
func (c *checker) excused(found view, possible []version) bool {
	if found.def != distribution || !slices.ContainsFunc(possible, func(v version) bool { return v.older }) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.theirs++
	return true
}

// check looks at a state that a disk has become. Every other one is repaired
// first, as a distribution does that comes up; process 1 mounts it as it is.
func (c *checker) check(ctx context.Context, d *disk, s state, possible []version, repair bool, dir string) error {
	found, err := c.grub.look(ctx, d, s.change)
	if err != nil {
		return err
	}
	if err := agrees(found, possible); err != nil && !c.excused(found, possible) {
		return fmt.Errorf("GRUB's view: %w", err)
	}
	err = c.mount(ctx, d, possible, repair, dir)
	if first := (refusal{}); errors.As(err, &first) {
		// The state is what is on the disk: what else the kernel has against a device is
		// not the state's, and not against every other one.
		if err := errors.Join(d.renew(), d.become(s.change)); err != nil {
			return err
		}
		if err = c.mount(ctx, d, possible, repair, dir); err == nil {
			c.mu.Lock()
			c.refused++
			c.mu.Unlock()
		}
	}
	return err
}

// mount looks at a state as it is mounted, and may let it go on.
func (c *checker) mount(ctx context.Context, d *disk, possible []version, repair bool, dir string) error {
	if repair {
		if err := c.filesystem.repair(ctx, d.file.Name()); err != nil {
			return err
		}
	}
	if err := reread(d.device); err != nil {
		return err
	}
	return c.filesystem.mountedFrom(d.device, dir, func() error {
		t, err := c.hashes.walk(dir)
		if err != nil {
			return err
		}
		if err := agrees(view{files: t.files}, possible); err != nil {
			return fmt.Errorf("mounted: %w", err)
		}
		if c.site == apart { // the stage is elsewhere
			return nil
		}
		if err := c.bootable(dir, t); err != nil {
			return fmt.Errorf("mounted: %w", err)
		}
		if !c.goesOn(t.of) {
			return nil
		}
		return c.converges(ctx, dir)
	})
}

// agrees reports how what is found differs from everything that may be published.
func agrees(found view, possible []version) error {
	var why []error
	for _, v := range possible {
		err := v.differs(found)
		if err == nil {
			return nil
		}
		why = append(why, fmt.Errorf("not that of %q: %w", v.step, err))
	}
	return errors.Join(why...)
}

func (v version) differs(found view) error {
	if found.def != "" && !slices.Contains(v.defaults, found.def) {
		return fmt.Errorf("%q boots by itself, not one of %q", found.def, v.defaults)
	}
	for path, want := range v.files {
		if found.files[path] != want {
			return fmt.Errorf("%s is %.12q, not %.12q", path, found.files[path], want)
		}
	}
	for path, want := range v.named {
		if found.files[path] != want {
			return fmt.Errorf("%s, which the menu names, is %.12q", path, found.files[path])
		}
	}
	return nil
}

// bootable verifies the deployments that the menu of a mounted disk names, with all
// that process 1 needs.
func (c *checker) bootable(dir string, t tree) error {
	menu, err := os.ReadFile(dir + c.site.menu)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, m := range deploymentArg.FindAllStringSubmatch(string(menu), -1) {
		data, err := os.ReadFile(filepath.Join(dir+stagePath, "deployments", m[1]+".json"))
		if err != nil {
			return err
		}
		manifest, err := deployment.ParseManifest(data, m[1])
		if err != nil {
			return err
		}
		for _, o := range manifest.Objects() {
			if got := t.files[stagePath+"/"+o.Path()]; got != o.SHA256 {
				return fmt.Errorf("deployment %.12s: %s is %.12q", m[1], o.Path(), got)
			}
		}
	}
	return nil
}

// converges makes the next run, after which everything is as the last commit has
// it, and nothing is left over.
func (c *checker) converges(ctx context.Context, dir string) error {
	for _, args := range [][]string{{"reconcile", "--once"}, {"plan", "--exit-code"}} {
		if _, err := c.command(ctx, dir, args...); err != nil {
			return err
		}
	}
	t, err := c.hashes.walk(dir)
	if err != nil {
		return err
	}
	last := c.versions[len(c.versions)-1]
	menu, err := os.ReadFile(dir + c.site.menu)
	if err != nil {
		return err
	}
	// What boots by itself may still be what was chosen by hand.
	if got := firstEntry(menu); got != last.first {
		return fmt.Errorf("the next run ends with the first entry %q, not %q", got, last.first)
	}
	if t.files[c.site.custom] != last.files[c.site.custom] {
		return errors.New("the next run ends with another custom.cfg")
	}
	if left, err := filepath.Glob(dir + stagePath + "/tmp/*"); err != nil || len(left) > 0 {
		return fmt.Errorf("the next run leaves %v %w", left, err)
	}
	out, err := c.command(ctx, dir, "stage", "gc", "--dry-run", "--json")
	if err != nil {
		return err
	}
	var garbage struct{ Objects int }
	if err := json.Unmarshal([]byte(out), &garbage); err != nil || garbage.Objects > 0 {
		return fmt.Errorf("the next run leaves garbage: %s %w", out, err)
	}
	return c.bootable(dir, t)
}
