package crash

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

// On a stage that is full, or has no inodes left, the old menu stays and the run says
// what to do. A changed hook still fits where a new image does not; with room made,
// the next run converges.
func TestFullStage(t *testing.T) {
	lab.RequireMachines(t)
	for _, c := range []struct {
		name, says string
		mkfs       []string
		fill       func(dir string) error
		hook       bool
	}{
		{"room", "too little space", []string{"mkfs.ext4", "-q"}, fillRoom, true},
		{"inodes", "no inodes left", []string{"mkfs.ext4", "-q", "-N", "400"}, fillInodes, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorkplace(t)
			m := machine{gitboot: w.gitboot, repo: w.repo.Dir, dir: filepath.Join(w.dir, "small")}
			need.Filesystem(t, m.dir, 128<<20, "defaults", c.mkfs...)
			makeGRUBFolder(t, m)
			first, second := pushSmall(t, w.registry, w.dir, "6.1.0"), pushSmall(t, w.registry, w.dir, "6.2.0")
			commit(t, t.Context(), w.repo, first, "one")
			m.mustRun(t, "reconcile", "--once")
			old := m.readMenu(t)
			filler := filepath.Join(m.dir, "filler")
			if err := errors.Join(os.Mkdir(filler, 0o755), c.fill(filler)); err != nil {
				t.Fatal(err)
			}
			commit(t, t.Context(), w.repo, second, "one")
			out, err := m.run(t, nil, "reconcile", "--once")
			if err == nil || !strings.Contains(out, c.says) {
				t.Errorf("the run does not say %q: %v\n%s", c.says, err, out)
			}
			if menu := m.readMenu(t); menu != old {
				t.Errorf("the menu is not the old one:\n%s", menu)
			}
			m.checkBootable(t)
			if c.hook {
				commit(t, t.Context(), w.repo, first, "two")
				m.mustRun(t, "reconcile", "--once")
				if menu := m.readMenu(t); menu == old {
					t.Error("a changed hook did not come into the menu")
				}
			}
			if err := os.RemoveAll(filler); err != nil {
				t.Fatal(err)
			}
			commit(t, t.Context(), w.repo, second, "three")
			out = m.mustRun(t, "plan")
			if !strings.Contains(out, "needed, ") {
				t.Errorf("the plan does not say how much room is needed:\n%s", out)
			}
			m.mustRun(t, "reconcile", "--once")
			m.checkConverged(t, m.readMenu(t))
		})
	}
}

// fillRoom leaves less than a new image is given, and more than a hook.
func fillRoom(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "large"))
	if err != nil {
		return err
	}
	size := int64(st.Bavail)*st.Bsize - 20<<20
	return errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, size), f.Close())
}

func fillInodes(dir string) error {
	for n := 0; ; n++ {
		err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600)
		if errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
