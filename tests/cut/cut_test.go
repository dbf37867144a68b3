// Package cut cuts the power of a machine: all that is written in the whole life of
// a stage is recorded, and what a disk may hold after a cut at any time is made of
// that. Each such state must show a menu that was published, by GRUB's own reader,
// which replays no journal, as well as mounted, with everything that it names; and
// the next run must converge.
package cut

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/gitboot/gitboot/tests/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// filesystems are those that a stage may lie on, and this kernel has. Each has a UUID of
// its own: mkfs.btrfs makes none with one that libblkid has seen in the last minutes.
var filesystems = []filesystem{
	{name: "ext4", share: 57, size: 112 << 20, mkfs: []string{"mkfs.ext4", "-q", "-F"}, fsck: []string{"e2fsck", "-p"}, super: extent{2, 4}},
	{name: "xfs", share: 37, size: 300 << 20, mkfs: []string{"mkfs.xfs", "-q", "-f"}, options: "nouuid", block: 8, journal: xfsLog},
	{name: "btrfs", share: 6, size: 160 << 20, mkfs: []string{"mkfs.btrfs", "-q", "-f"}, super: extent{128, 136}, uncounted: true, forgets: true},
}

// The states after every flush are looked at, and others in between up to some
// 2,000; TestLongPowerCut has 100,000.
func TestPowerCut(t *testing.T) { cutPower(t, newLife(t), 2200, 4) }

// cutPower has so many states of a life made, and lets one of so many mounted ones
// that differ go on.
func cutPower(t *testing.T, l *life, budget, converging int) {
	for _, f := range filesystems {
		t.Run(f.name, func(t *testing.T) {
			dir := inMemory(t)
			r := record(t, f, l, dir)
			c := newChecker(t, r, converging)
			c.all(t, dir, budget*f.share/100)
		})
	}
}

// workers is how many disks are looked at side by side: most of the time goes into
// waiting for the kernel.
const workers = 12

func (c *checker) all(t *testing.T, dir string, budget int) {
	t.Helper()
	var writes int
	for _, e := range c.epochs {
		writes += len(e.writes)
	}
	group, ctx := errgroup.WithContext(t.Context())
	for n := range workers {
		group.Go(func() error { return c.work(ctx, t, filepath.Join(dir, strconv.Itoa(n)), n, budget/workers) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d writes and %d flushes; %d states tried, %d failed, %d mounted from a second device, %d of an older gitboot's without a menu; %d other views of GRUB's, %d other mounted ones, of which %d went on",
		writes, len(c.epochs), c.tried, c.failed, c.refused, c.theirs, c.grub.runs, len(c.trees), c.converged)
}

// inMemory gives a folder in memory.
func inMemory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := lab.Run(t.Context(), "mount", "-t", "tmpfs", "-o", "size=6g", "tmpfs", dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
