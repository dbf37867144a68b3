package tagged

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

var (
	one   = plumbing.NewHash("1111111111111111111111111111111111111111")
	two   = plumbing.NewHash("2222222222222222222222222222222222222222")
	three = plumbing.NewHash("3333333333333333333333333333333333333333")
)

func annotated(name string, of plumbing.Hash, message string) Tag {
	return Tag{Name: "refs/tags/" + name, Content: fmt.Appendf(nil, "object %s\ntype commit\ntag %s\ntagger Ada <ada@example.org> 1767323045 +0000\n\n%s\n", of, name, message)}
}

func names(t *testing.T, c Commit) (found []string) {
	t.Helper()
	tags, err := c.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		found = append(found, strings.TrimPrefix(tag.Name, "refs/tags/"))
	}
	return found
}

func put(c Commit, tags []Tag, stale func(string) bool, still ...plumbing.Hash) error {
	now, changed := c.With(tags, stale)
	if !changed {
		return nil
	}
	return c.Put(now, still...)
}

func TestPut(t *testing.T) {
	dir := t.TempDir()
	put := func(of plumbing.Hash, stale func(string) bool, tags ...Tag) {
		t.Helper()
		if err := put(Of(dir, of), tags, stale, two); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(of plumbing.Hash, want ...string) {
		t.Helper()
		if got := names(t, Of(dir, of)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("of %.4s: %q, want %q", of, got, want)
		}
	}
	put(one, nil)
	if _, err := os.Stat(filepath.Join(dir, "tagged")); err == nil {
		t.Error("something is written of a commit without tags")
	}
	light := Tag{Name: "refs/tags/light"}
	put(one, nil, light, annotated("v1", one, "x"))
	expect(one, "light", "v1")
	put(two, nil, light)
	expect(one)
	put(three, nil, light)
	expect(two, "light")
	put(two, nil, annotated("v2", two, "x"), annotated("v1", two, "x"))
	expect(two, "light", "v1", "v2")
	put(two, func(name string) bool { return name == light.Name })
	expect(two, "v1", "v2")
	// What git would not take as a tag of the commit is not kept.
	put(one, nil, annotated("v1", two, "x"), Tag{Name: "refs/heads/main"}, Tag{Name: "refs/tags/a b"}, Tag{Name: "refs/tags/../../config"},
		Tag{Name: "refs/tags/x", Content: []byte("tree of nothing")}, light)
	expect(one, "light")
}

// However many there are, and however long, little is kept.
func TestBounds(t *testing.T) {
	c := Of(t.TempDir(), one)
	var many, long []Tag
	for i := range 2 * maxTags {
		many = append(many, Tag{Name: fmt.Sprintf("refs/tags/v%d", i)})
	}
	for i := range 8 {
		long = append(long, annotated(fmt.Sprintf("l%d", i), one, strings.Repeat("x", maxSize/6)))
	}
	all := func(string) bool { return true }
	if err := put(c, many, all); err != nil || len(names(t, c)) != maxTags {
		t.Errorf("%v, %d tags", err, len(names(t, c)))
	}
	if err := put(c, long, all); err != nil || len(names(t, c)) != 5 {
		t.Errorf("%v, %d tags", err, len(names(t, c)))
	}
	// What was damaged is told, and made anew.
	if err := os.WriteFile(c.path(), []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.All(); err == nil {
		t.Error("what is damaged is read")
	}
	if err := put(c, nil, all); err != nil || len(names(t, c)) != 0 {
		t.Errorf("%v, %d tags", err, len(names(t, c)))
	}
}
