package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gitboot/gitboot/tests/need"
)

// other is a user who is neither root nor the one of the test.
const other = 4711

func give(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, uid, uid))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReposOfOthersAreRefused reads a repo of another user only if it was named,
// or if that user called sudo.
func TestReposOfOthersAreRefused(t *testing.T) {
	need.Root(t)
	t.Setenv("SUDO_UID", "")
	r := newRepo(t)
	tip := r.commit("gitboot.toml", "one\n")
	borrower := filepath.Join(t.TempDir(), "borrower")
	r.git("clone", "-q", "--shared", r.dir, borrower)
	linked := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", "--detach", linked)
	give(t, r.dir, other)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(r.dir, link); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a repo": r.dir, "a link to it": link, "a work tree of it": linked, "one that borrows from it": borrower} {
		o := r.options()
		o.URL = dir
		refused := &OwnerError{}
		_, err := open(t, o).Fetch(t.Context(), "")
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), fmt.Sprintf("belongs to user 4711; if what boots may be that user's to decide, name the repo in agent.toml: safe = [%q]", dir)) {
			t.Errorf("%s: %v", name, err)
		}
		o.Safe = []string{"/elsewhere", dir}
		open(t, o).mustFetch(t, "")
	}
	o := r.options()
	if _, err := Worktree(o, ""); !errors.As(err, new(*OwnerError)) {
		t.Errorf("its work tree: %v", err)
	}
	o.Safe = []string{"file://" + link}
	open(t, o).mustFetch(t, "")
	o.Safe = nil
	if _, err := open(t, o).Uncommitted(t.Context(), tip); !errors.As(err, new(*OwnerError)) {
		t.Errorf("its uncommitted files: %v", err)
	}
	t.Setenv("SUDO_UID", "4712")
	if _, err := open(t, o).Remote(t.Context()); !errors.As(err, new(*OwnerError)) {
		t.Errorf("called by a third user: %v", err)
	}
	t.Setenv("SUDO_UID", "4711")
	if rev := open(t, o).mustFetch(t, ""); rev.Hash != tip {
		t.Errorf("called by its owner: %s", rev.Hash)
	}
}

// TestNothingHangs puts what is no file in the place of each that is read of a
// local repo: a pipe, on which a reader waits, and a device that never ends.
func TestNothingHangs(t *testing.T) {
	places := map[string]bool{ // whether the repo cannot be read then
		".git/HEAD": true, ".git/config": true, ".git/packed-refs": true, ".git/refs/heads/main": true, ".git/refs/heads/other": false, ".git/shallow": true,
		".git/commondir": true, ".git/objects/info/alternates": true, ".git/index": false, ".git/info/exclude": false,
		".gitignore": false, "new/.gitignore": false, "a": false, "new/a": false,
	}
	puts := map[string]func(string) error{
		"pipe":   func(path string) error { return syscall.Mkfifo(path, 0o644) },
		"device": func(path string) error { return os.Symlink("/dev/zero", path) },
		"large": func(path string) error {
			return errors.Join(os.WriteFile(path, nil, 0o644), os.Truncate(path, 1<<40))
		},
	}
	for place, fatal := range places {
		for what, put := range puts {
			t.Run(what+" as "+strings.ReplaceAll(place, "/", ":"), func(t *testing.T) {
				t.Parallel()
				r := newRepo(t)
				tip := r.commit("a", "1")
				if place == ".git/packed-refs" {
					r.git("pack-refs", "--all")
				}
				o := r.options()
				if !fatal { // then what differs from it is looked for
					open(t, o).mustFetch(t, "")
				}
				r.write("new/b", "1")
				path := filepath.Join(r.dir, place)
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
				if err := put(path); err != nil {
					t.Fatal(err)
				}
				within(t, 20*time.Second, func() {
					s := open(t, o)
					_, err := s.Fetch(t.Context(), "")
					if large := what == "large"; (err != nil) != fatal && !large {
						t.Errorf("Fetch: %v", err)
					}
					s.Uncommitted(t.Context(), tip)
				})
			})
		}
	}
	t.Run("pipe as .git", func(t *testing.T) {
		dir := t.TempDir()
		if err := syscall.Mkfifo(filepath.Join(dir, ".git"), 0o644); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, func() {
			if _, err := open(t, Options{URL: dir, Dir: filepath.Join(t.TempDir(), "c")}).Remote(t.Context()); err == nil {
				t.Error("read")
			}
		})
	})
	t.Run("pipe as an object", func(t *testing.T) {
		r := newRepo(t)
		blob := strings.TrimSpace(r.commit("a", "1"))
		path := filepath.Join(r.dir, ".git/objects", blob[:2], blob[2:])
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o644)); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, func() {
			if _, err := open(t, r.options()).Fetch(t.Context(), ""); err == nil {
				t.Error("read")
			}
		})
	})
}

// within fails the test at once if f does not end in time.
func within(t *testing.T, limit time.Duration, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("still waiting after %v", limit)
	}
}
