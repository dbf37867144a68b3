package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/tests/need"
)

// prepared makes a whole stage with a link in it where gitboot cleans up, and a
// file at the other end.
func prepared(t *testing.T, folder string) (dir, foreign string) {
	t.Helper()
	dir, victim := filepath.Join(t.TempDir(), "stage"), t.TempDir()
	create(t, dir)
	foreign = filepath.Join(victim, ".gitboot-tmp-precious")
	for _, err := range []error{
		os.WriteFile(foreign, []byte("precious"), 0o600),
		os.RemoveAll(filepath.Join(dir, folder)),
		os.Symlink(victim, filepath.Join(dir, folder)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir, foreign
}

func TestAStageOfAnotherUserIsRefused(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	create(t, filepath.Join(dir, "below"))
	if err := os.Chown(dir, 4711, 4711); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, filepath.Join(dir, "below")} {
		if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "belongs to user 4711") {
			t.Errorf("create %s: %v", dir, err)
		}
	}
	if _, err := Open(filepath.Join(dir, "below")); err == nil || !strings.Contains(err.Error(), "belongs to user 4711") {
		t.Errorf("open: %v", err)
	}
}

func TestLinksInAStageAreRefused(t *testing.T) {
	for _, folder := range folders() {
		dir, _ := prepared(t, folder)
		if _, err := Create(dir); err == nil {
			t.Errorf("a stage whose %s is a link is accepted", folder)
		}
	}
}

// Even of a link that came after the stage was opened nothing is removed.
func TestCleaningStaysInTheStage(t *testing.T) {
	for _, folder := range folders() {
		dir, foreign := prepared(t, folder)
		s := &Stage{Layout: Layout(dir)}
		if err := s.Clean(); err == nil {
			t.Errorf("%s: cleaning follows a link out of the stage", folder)
		}
		if _, err := os.Stat(foreign); err != nil {
			t.Errorf("%s: %v", folder, err)
		}
	}
}

func TestALockThatOthersMayTakeIsRefused(t *testing.T) {
	for name, lock := range bothLocks {
		s := newStage(t)
		for path, mode := range map[string]os.FileMode{
			map[string]string{"stage": s.lockFile(), "workshop": s.Workshop().lockFile()}[name]: 0o600,
			gate(s.Layout): 0o700,
		} {
			if err := os.Chmod(path, mode|0o044); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("chmod %#o", mode)
			if _, err := lock(s, context.Background(), false); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("locking %s, with %s open to others: %v", name, path, err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAWorkshopLockOfAnotherUserIsRefused(t *testing.T) {
	need.Root(t)
	s := newStage(t)
	if err := os.Chown(s.Workshop().lockFile(), 4711, 4711); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.Dir()); err == nil || !strings.Contains(err.Error(), "belongs to user 4711") {
		t.Errorf("open: %v", err)
	}
}

func TestALockIsNoLinkAndNoPipe(t *testing.T) {
	s := newStage(t)
	for _, lock := range []string{s.lockFile(), s.Workshop().lockFile()} {
		testLockIsRegular(t, s, lock)
	}
}

func testLockIsRegular(t *testing.T, s *Stage, lock string) {
	for name, replace := range map[string]func(string) error{
		"link": func(path string) error { return os.Symlink("/dev/zero", path) },
		"pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		if err := os.Remove(lock); err != nil {
			t.Fatal(err)
		}
		if err := replace(lock); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.Dir()); err == nil {
			t.Errorf("a stage whose %s is a %s is accepted", lock, name)
		}
	}
	if err := errors.Join(os.Remove(lock), os.WriteFile(lock, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}
