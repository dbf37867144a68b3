package spec

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
)

// FuzzLoad holds that no document makes Load or Resolve panic, that what is
// wrong is always told as Problems in a stable order, and that every key of a
// valid document has a line.
func FuzzLoad(f *testing.F) {
	for _, m := range slices.Concat(slices.Collect(maps.Values(mistakes)), slices.Collect(maps.Values(hookMistakes))) {
		if len(m.text) < 1000 {
			f.Add([]byte(m.text))
		}
	}
	for _, name := range []string{RootFile, "machines/laptop.toml"} {
		text, err := fs.ReadFile(Starter(), name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("\xef\xbb\xbf\"a\\u0062\".'c' = {x = [1, # c\n{y = '''\n'''''}], z = \"\"\"\\\"\"\"\"\"\",\n}\n[[d]]\n[[d.e]]\nf = 1979-05-27 07:32:00\n[d.e.g]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		checkPositions(t, string(text))
		fsys := fstest.MapFS{RootFile: {Data: text}}
		fleet, err := Load(t.Context(), fsys)
		if err != nil {
			checkProblems(t, fsys, err)
			return
		}
		for _, name := range fleet.Machines() {
			if _, err := fleet.Resolve(t.Context(), name); err != nil && !errors.As(err, new(Problems)) {
				t.Errorf("resolve: %v", err)
			}
		}
	})
}

func checkProblems(t *testing.T, fsys fs.FS, err error) {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("not problems: %v", err)
	}
	for _, p := range ps {
		if p.File == "" || p.Message == "" {
			t.Errorf("incomplete problem %#v", p)
		}
	}
	if _, again := Load(t.Context(), fsys); again == nil || again.Error() != err.Error() {
		t.Errorf("first %v\nthen %v", err, again)
	}
}

func checkPositions(t *testing.T, text string) {
	t.Helper()
	s := position.Scan(RootFile, text, bounds.MaxKeys)
	if s.Refused != "" {
		return
	}
	var table map[string]any
	if decodeTOML(text, &table) == nil {
		sameShape(t, table, s.Root, text)
	}
}

// sameShape holds that the nodes have every key and element of the value.
func sameShape(t *testing.T, v any, n position.Place, text string) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			c := n.At(key)
			if !c.Has() {
				t.Fatalf("no line for %q in %q", key, text)
			}
			sameShape(t, value, c, text)
		}
	case []any:
		if len(v) != n.Items() {
			t.Fatalf("%d elements, %d lines in %q", len(v), n.Items(), text)
		}
		for i := range v {
			sameShape(t, v[i], n.Item(i), text)
		}
	case []map[string]any:
		if len(v) != n.Items() {
			t.Fatalf("%d tables, %d lines in %q", len(v), n.Items(), text)
		}
		for i := range v {
			sameShape(t, v[i], n.Item(i), text)
		}
	}
}
