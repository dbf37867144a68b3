package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unpublished are files of which a cut leaves the like.
var unpublished = []string{
	"objects/pack/tmp_pack_1", "objects/pack/.gitboot-tmp-1", "objects/tmp_obj_1", ".gitboot-tmp-2", "HEAD.lock", "packed-refs.lock",
	"tagged/.gitboot-tmp-3", "approvals/1111111111111111111111111111111111111111/.gitboot-tmp-4",
}

// TestHealing damages a real clone in the ways that a cut does. In each case
// Open succeeds, Fetch brings the tip again, and git finds nothing amiss.
func TestHealing(t *testing.T) {
	for name, damage := range map[string]struct {
		do       func(t *testing.T, dir string)
		newClone bool // the old one was moved aside
	}{
		"index missing": {newClone: true, do: func(t *testing.T, dir string) {
			remove(t, packFiles(t, dir, ".idx")...)
		}},
		"pack missing": {newClone: true, do: func(t *testing.T, dir string) {
			remove(t, packFiles(t, dir, ".pack")...)
		}},
		"index cut short": {newClone: true, do: func(t *testing.T, dir string) {
			truncate(t, packFiles(t, dir, ".idx")[0], 1100)
		}},
		"index empty": {newClone: true, do: func(t *testing.T, dir string) {
			truncate(t, packFiles(t, dir, ".idx")[0], 0)
		}},
		"pack cut short": {newClone: true, do: func(t *testing.T, dir string) {
			truncate(t, packFiles(t, dir, ".pack")[0], 100)
		}},
		"pack of zeros": {newClone: true, do: func(t *testing.T, dir string) {
			path := packFiles(t, dir, ".pack")[0]
			truncate(t, path, 0)
			truncate(t, path, 300)
		}},
		"next pack without index": {do: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "objects/pack/pack-1111.pack"), "PACK")
		}},
		"unpublished files and locks": {do: func(t *testing.T, dir string) {
			for _, name := range unpublished {
				write(t, filepath.Join(dir, name), "PACK")
			}
		}},
		"a file among folders": {do: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "approvals/stray"), "")
		}},
		"HEAD empty": {newClone: true, do: func(t *testing.T, dir string) { truncate(t, filepath.Join(dir, "HEAD"), 0) }},
		"HEAD names no object": {newClone: true, do: func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "HEAD"), strings.Repeat("ab", 20)+"\n")
		}},
		"HEAD not written yet": {do: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "HEAD")) }},
		"layout half made": {do: func(t *testing.T, dir string) {
			remove(t, filepath.Join(dir, "HEAD"), filepath.Join(dir, "config"), filepath.Join(dir, "refs"))
		}},
		"clone removed":          {do: func(t *testing.T, dir string) { removeAll(t, dir) }},
		"folder made, no marker": {do: func(t *testing.T, dir string) { removeAll(t, dir); write(t, filepath.Join(dir, ".gitboot-tmp-3"), "") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			tip := r.commit("a", "one\n")
			o := r.options()
			open(t, o).mustFetch(t, "")
			damage.do(t, o.Dir)

			s := open(t, o)
			if got := s.mustFetch(t, tip).Hash; got != tip {
				t.Fatalf("Fetch = %s, want %s", got, tip)
			}
			if got := s.mustRead(t, tip, "a"); got != "one\n" {
				t.Errorf("a = %q", got)
			}
			runGit(t, o.Dir, "fsck", "--strict")
			if left, err := s.clone.Leftovers(); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			for _, name := range unpublished {
				if _, err := os.Lstat(filepath.Join(o.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is still there: %v", name, err)
				}
			}
			_, err := os.Stat(o.Dir + ".broken")
			if moved := err == nil; moved != damage.newClone {
				t.Errorf("moved aside: %v, want %v", moved, damage.newClone)
			}
		})
	}
}

// TestOldPackSurvives cuts a second fetch: what the first one brought stays.
func TestOldPackSurvives(t *testing.T) {
	r := newRepo(t)
	first := r.commit("a", "1")
	o := r.options()
	open(t, o).mustFetch(t, "")
	before := packFiles(t, o.Dir, ".idx")[0]
	second := r.commit("a", "2")
	open(t, o).mustFetch(t, first)
	for _, idx := range packFiles(t, o.Dir, ".idx") {
		if idx != before {
			remove(t, idx)
		}
	}
	write(t, filepath.Join(o.Dir, "HEAD"), first+"\n") // it is replaced last
	r.git("update-ref", "refs/heads/main", first)
	s := open(t, o)
	if s.clone.Head().String() != first || s.mustRead(t, first, "a") != "1" {
		t.Errorf("after the cut HEAD = %s, want %s", s.clone.Head(), first)
	}
	r.git("update-ref", "refs/heads/main", second)
	if got := s.mustFetch(t, first).Hash; got != second {
		t.Errorf("the next Fetch = %s, want %s", got, second)
	}
}

// TestBrokenIsReplaced heals twice: one broken clone is kept, not many.
func TestBrokenIsReplaced(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	o := r.options()
	for range 2 {
		open(t, o).mustFetch(t, tip)
		truncate(t, filepath.Join(o.Dir, "HEAD"), 1)
		open(t, o)
	}
	removeAll(t, o.Dir+".broken")
	open(t, o).mustFetch(t, tip)
	truncate(t, filepath.Join(o.Dir, "HEAD"), 1)
	write(t, o.Dir+".broken", "somebody's")
	if _, err := Open(context.Background(), o); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Errorf("with a foreign file in the way: %v", err)
	}
}

// TestHealingWaitsForWriter leaves a running fetch's files alone.
func TestHealingWaitsForWriter(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	o := r.options()
	s := open(t, o)
	s.mustFetch(t, "")
	unlock, err := s.clone.Lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(o.Dir, "objects/pack/tmp_pack_1")
	write(t, temp, "PACK")
	other := open(t, o)
	if _, err := os.Stat(temp); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
	other.mustFetch(t, tip) // nothing to write: needs no lock
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := other.clone.Lock(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for the lock: %v", err)
	}
	unlock()
	open(t, o)
	if _, err := os.Stat(temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there (%v)", err)
	}
}

// TestUnchangedWritesNothing compares the clone's files before and after.
func TestUnchangedWritesNothing(t *testing.T) {
	r := newRepo(t)
	tip := r.commit("a", "1")
	o := r.options()
	open(t, o).mustFetch(t, "")
	before := listing(t, o.Dir)
	s := open(t, o)
	if _, err := s.Remote(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.mustFetch(t, tip)
	s.mustRead(t, tip, "a")
	if after := listing(t, o.Dir); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}

// listing shows every file with what a write would change.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := os.Remove(p); err != nil {
			t.Fatal(err)
		}
	}
}

func removeAll(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, content)
}
