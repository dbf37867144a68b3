package manifests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// A shelf is a folder of manifests.
type shelf struct {
	t           *testing.T
	dir, memory string
}

func newShelf(t *testing.T) shelf {
	dir := t.TempDir()
	return shelf{t, dir, filepath.Join(dir, "memory")}
}

func (s shelf) open() *Manifests { return In(s.dir, s.memory) }

func object(n int) deployment.Object {
	return deployment.Object{SHA256: fmt.Sprintf("%064x", n), Size: int64(n)}
}

// put publishes a manifest of these layers, above the hooks' 100 + n.
func (s shelf) put(n int, verity bool, layers ...int) (string, *deployment.Manifest) {
	s.t.Helper()
	hooks := object(100 + n)
	m := &deployment.Manifest{Version: deployment.Version, Image: "os", KernelVersion: "6.1", Kernel: object(1), Initramfs: object(2), KernelArgs: []string{"quiet"}, Hooks: &hooks}
	for _, l := range layers {
		m.Layers = append(m.Layers, object(l))
	}
	if verity {
		m.Verity = &deployment.Verity{Mode: deployment.VerityReport}
		for _, o := range m.Squashed() {
			m.Verity.Trees = append(m.Verity.Trees, deployment.Tree{Root: o.SHA256, Object: object(int(o.Size) + 1000)})
		}
	}
	data, err := m.Canonical()
	if err == nil {
		err = os.WriteFile(filepath.Join(s.dir, deployment.ID(data)+".json"), data, 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return deployment.ID(data), m
}

func (s shelf) remember(m *Manifests, ids ...string) {
	s.t.Helper()
	if err := m.Remember(ids); err != nil {
		s.t.Fatal(err)
	}
}

// What is remembered is what was read, whatever manifests have in common and whichever
// are gone; of none the file is read again.
func TestRemembered(t *testing.T) {
	s := newShelf(t)
	first := s.open()
	all := map[string]*deployment.Manifest{}
	gone, _ := s.put(0, true, 9, 8, 7)
	for n, layers := range [][]int{{10, 11, 12}, {10, 11, 12}, {10, 13, 12}, {12, 12, 10}, {10}} {
		id, m := s.put(n, n%2 == 0, layers...)
		all[id] = m
	}
	ids := slices.Collect(func(yield func(string) bool) {
		for id := range all {
			if !yield(id) {
				return
			}
		}
	})
	s.remember(first, append(ids, gone)...)
	s.remember(first, ids...)
	for what, m := range map[string]*Manifests{"the process that read": first, "the next one": s.open()} {
		for id, want := range all {
			got, err := m.Get(id)
			if err != nil || !cmp.Equal(want, got) {
				t.Errorf("%s: %v\n%s", what, err, cmp.Diff(want, got))
			}
			if itself := m.known[id].read; itself != (m == first) {
				t.Errorf("%s has read %s: %t", what, id, itself)
			}
		}
		if m.known[gone] != nil || slices.Contains(m.objects.items, object(9)) || slices.Contains(m.trees.items, deployment.Tree{Root: object(9).SHA256, Object: object(1009)}) {
			t.Errorf("%s remembers what is gone", what)
		}
	}
	before, err := os.Stat(s.memory)
	if err != nil {
		t.Fatal(err)
	}
	s.remember(s.open(), ids...)
	if after, err := os.Stat(s.memory); err != nil || !os.SameFile(before, after) {
		t.Errorf("what was remembered is written again: %v", err)
	}
}

// The union of objects, and what lacks some, of manifests that are remembered and of
// those that are not.
func TestObjects(t *testing.T) {
	s := newShelf(t)
	a, _ := s.put(0, false, 10, 11)
	b, _ := s.put(1, false, 10, 12)
	s.remember(s.open(), a)
	asked := map[deployment.Object]int{}
	lacking := s.open().Lacking([]string{a, b, "no such"}, func(o deployment.Object) bool { asked[o]++; return o != object(12) })
	if want := map[string]bool{b: true}; !cmp.Equal(want, lacking) {
		t.Errorf("lacking: %s", cmp.Diff(want, lacking))
	}
	want := map[deployment.Object]int{object(1): 1, object(2): 1, object(10): 1, object(11): 1, object(12): 1, object(100): 1, object(101): 1}
	named := map[deployment.Object]int{}
	if err := s.open().Objects([]string{a, b}, func(o deployment.Object) { named[o]++ }); err != nil || !cmp.Equal(want, named) || !cmp.Equal(want, asked) {
		t.Errorf("objects: %v\n%s\n%s", err, cmp.Diff(want, named), cmp.Diff(want, asked))
	}
	if err := s.open().Objects([]string{a, object(5).SHA256}, func(deployment.Object) {}); err == nil {
		t.Error("what a manifest names that is not there is known")
	}
}

// A file that is another now is read, and believed if it is what its name says. What is
// to boot is read in any case.
func TestChanged(t *testing.T) {
	s := newShelf(t)
	id, want := s.put(0, false, 10)
	s.remember(s.open(), id)
	path := filepath.Join(s.dir, id+".json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := s.open()
	if got, err := next.Read(id); err != nil || !cmp.Equal(want, got) || !next.known[id].read {
		t.Errorf("read: %v, %+v", err, got)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte("quiet"), []byte("not quiet"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]*Manifests{"who has read it": next, "who remembers": s.open()} {
		if _, err := m.Get(id); err == nil || m.known[id] != nil {
			t.Errorf("%s takes it for what it was", what)
		}
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := next.Get(id); err != nil || !cmp.Equal(want, got) {
		t.Errorf("put right: %v, %+v", err, got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := next.Get(id); err == nil {
		t.Error("a manifest that is gone is there")
	}
}

// A document that is not what was written, or of another version, is none.
func TestDoubtful(t *testing.T) {
	s := newShelf(t)
	id, want := s.put(0, true, 10, 11)
	s.remember(s.open(), id)
	good, err := os.ReadFile(s.memory)
	if err != nil {
		t.Fatal(err)
	}
	text, err := durable.ReadSummed(s.memory)
	if err != nil {
		t.Fatal(err)
	}
	summed := func(text []byte) []byte {
		path := filepath.Join(t.TempDir(), "summed")
		if err := durable.WriteSummed(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	changed := func(old, new string) []byte {
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("the document has no %s: %s", old, text)
		}
		return summed(bytes.Replace(text, []byte(old), []byte(new), 1))
	}
	for what, data := range map[string][]byte{
		"nothing":           {},
		"cut":               good[:len(good)/2],
		"one bit":           append(slices.Clone(good[:len(good)-9]), append([]byte{good[len(good)-9] ^ 1}, good[len(good)-8:]...)...),
		"another version":   changed(`"version":1`, `"version":2`),
		"no JSON":           summed([]byte("{")),
		"outside the list":  changed(`"layers":[[0,2]]`, `"layers":[[0,999]]`),
		"before the list":   changed(`"objects":[[0,`, `"objects":[[-1,`),
		"an endless number": changed(`"trees":[[0,3]]`, `"trees":[[1,9223372036854775807]]`),
		"no manifest":       changed(`"manifest":{`, `"manifest":7,"was":{`),
	} {
		if err := os.WriteFile(s.memory, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m := s.open()
		if got, err := m.Get(id); err != nil || !cmp.Equal(want, got) || !m.known[id].read {
			t.Errorf("%s: %v, %+v", what, err, got)
		}
		s.remember(m, id)
		if now, err := os.ReadFile(s.memory); err != nil || !bytes.Equal(now, good) {
			t.Errorf("%s: it is not written anew: %v", what, err)
		}
	}
}
