package pack

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// Whoever opens a repo while somebody joins its packs has the objects: from those that
// were there, or from what has replaced them.
func TestOpenedWhileJoined(t *testing.T) {
	dir := filepath.Join(newRepo(t), ".git")
	git(t, dir, "", "repack", "-adq")
	objects := names(all(t, dir))
	packs := filepath.Join(dir, "objects", "pack")
	found, err := filepath.Glob(filepath.Join(packs, "*.idx"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	name := found[0][:len(found[0])-len(".idx")]
	other := filepath.Join(packs, "pack-0000000000000000000000000000000000000000")
	join := func(from, to string) error {
		return errors.Join(os.Link(from+".pack", to+".pack"), os.Link(from+".idx", to+".idx"), os.Remove(from+".idx"), os.Remove(from+".pack"))
	}
	lacking := 0
	for range 3000 {
		joined := make(chan error, 1)
		go func() { joined <- join(name, other) }()
		s, err := Open(t.Context(), filepath.Join(dir, "objects"))
		if err = errors.Join(err, <-joined); err != nil {
			t.Fatal(err)
		}
		if s.Find(objects[0]) != nil {
			lacking++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		name, other = other, name
	}
	if lacking > 0 {
		t.Errorf("%d of 3000 had no objects", lacking)
	}
}

// And what had a file of its own when a repo was opened, and was packed since, as git gc
// does it beside whoever reads.
func TestPackedSince(t *testing.T) {
	for way, read := range map[string]func(*Store, plumbing.Hash) error{
		"read": func(s *Store, name plumbing.Hash) error { _, err := s.Read(name, plumbing.AnyObject); return err },
		"size": func(s *Store, name plumbing.Hash) error { _, err := s.Size(name); return err },
		"find": func(s *Store, name plumbing.Hash) error { return s.Find(name) },
		"write": func(s *Store, name plumbing.Hash) error {
			return s.Write(t.Context(), io.Discard, []plumbing.Hash{name})
		},
	} {
		t.Run(way, func(t *testing.T) {
			dir := filepath.Join(newRepo(t), ".git")
			objects := names(all(t, dir))
			s, err := Open(t.Context(), filepath.Join(dir, "objects"))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			git(t, dir, "", "gc", "--quiet", "--prune=now")
			if loose, err := filepath.Glob(filepath.Join(dir, "objects", "??", "*")); err != nil || len(loose) > 0 {
				t.Fatalf("%q are left: %v", loose, err)
			}
			for _, name := range objects {
				if err := read(s, name); err != nil {
					t.Fatal(err)
				}
			}
			if err := read(s, plumbing.NewHash("1234567890123456789012345678901234567890")); !errors.Is(err, plumbing.ErrObjectNotFound) {
				t.Errorf("what is not there: %v", err)
			}
		})
	}
}
