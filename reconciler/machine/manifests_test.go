package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/stage"
	"github.com/gitboot/gitboot/tests/lab"
)

// reopen is the machine in another process.
func (h *house) reopen(t *testing.T) {
	t.Helper()
	st, err := stage.Open(h.Stage.Dir())
	must(t, err)
	st.Log = h.Stage.Log
	h.Stage, h.Book.Stage = st, st
}

// However many generations there are: of what was read once, only what boots next is
// read again, and no manifest twice in a process.
func TestManifestsAreReadOnce(t *testing.T) {
	h := newHouse(t)
	config := func(name string) string {
		return strings.NewReplacer("keep = 2", "keep = 9", `"one"`, `"`+name+`"`).Replace(oneImage)
	}
	for n := range 5 {
		h.run(t, "1", config(fmt.Sprint("n", n)))
	}
	opens, err := lab.CountOpens(filepath.Join(h.Stage.Dir(), "deployments"))
	must(t, err)
	defer opens.Close()
	for _, c := range []struct {
		what   string
		before func()
		name   string
		files  int
	}{
		{"nothing to do", func() {}, "n4", 1},
		{"a generation more", func() {}, "n5", 2},
		{"nothing is remembered", func() { must(t, os.Remove(filepath.Join(h.Stage.Dir(), "manifests"))) }, "n5", 6},
		{"a generation, and nothing is remembered", func() {}, "n6", 7},
		{"it is remembered again", func() {}, "n6", 1},
	} {
		c.before()
		h.reopen(t)
		_, err := opens.Take()
		must(t, err)
		w := h.wants(t, "1", config(c.name))
		result, err := h.Run(t.Context(), w, Request{}, nil)
		must(t, err)
		read, err := opens.Take()
		must(t, err)
		for name, n := range read {
			if !strings.HasSuffix(name, ".json") {
				delete(read, name) // what is being published
			} else if n > 1 {
				t.Errorf("%s: %s is read %d times", c.what, name, n)
			}
		}
		if len(read) != c.files || len(result.Failed) > 0 {
			t.Errorf("%s: %d manifests are read instead of %d (%v)", c.what, len(read), c.files, result.Failed)
		}
		if n := len(h.doc(t).Images["plain"].Generations); n < 5 {
			t.Fatalf("%s: %d generations", c.what, n)
		}
	}
}
