package pack

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
		if !s.Has(objects[0]) {
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
