package source

import (
	"context"
	"fmt"
	"io/fs"
	"testing"
)

// BenchmarkUnchanged is what a run costs here when nothing has changed: all
// of it, from Open to a file's content. The peer is git ls-remote.
func BenchmarkUnchanged(b *testing.B) {
	r, o, tip := benchRepo(b)
	b.Run("gitboot", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(context.Background(), o)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Fetch(context.Background(), tip); err != nil {
				b.Fatal(err)
			}
			fsys, err := s.Files(tip, "")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := fs.ReadFile(fsys, "machines/7.toml"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ls-remote", func(b *testing.B) {
		for b.Loop() {
			r.git("ls-remote", r.dir, "refs/heads/main")
		}
	})
}

// BenchmarkClone fetches everything into a new clone.
func BenchmarkClone(b *testing.B) {
	_, o, _ := benchRepo(b)
	for b.Loop() {
		o.Dir = b.TempDir() + "/clone"
		s, err := Open(context.Background(), o)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Fetch(context.Background(), ""); err != nil {
			b.Fatal(err)
		}
	}
}

func benchRepo(b *testing.B) (*repo, Options, string) {
	b.Helper()
	r := newRepo(b)
	for i := range 1000 {
		r.write(fmt.Sprintf("machines/%d.toml", i), fmt.Sprintf("[machine.m%d]\nimages = [\"desktop\"]\n", i))
	}
	tip := r.commitAll("a fleet")
	for i := range 30 {
		tip = r.commit("machines/1.toml", fmt.Sprint(i))
	}
	o := r.options()
	s, err := Open(context.Background(), o)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Fetch(context.Background(), ""); err != nil {
		b.Fatal(err)
	}
	return r, o, tip
}
