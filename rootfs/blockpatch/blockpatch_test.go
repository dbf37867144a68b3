package blockpatch_test

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gitboot/gitboot/rootfs"
	"github.com/gitboot/gitboot/rootfs/blockpatch"
	"github.com/gitboot/gitboot/tests/squashed"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A file of a layer: so many bytes of noise that is the same of the same seed, with a byte
// more before it or not.
type file struct {
	name string
	seed uint64
	size int
	more bool
}

func (f file) content() []byte {
	r, b := rand.New(rand.NewPCG(f.seed, 2)), make([]byte, f.size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	if f.more {
		b = append([]byte{'x'}, b...)
	}
	return b
}

func opened(t testing.TB, files ...file) *rootfs.Reader {
	t.Helper()
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for _, f := range files {
		content := f.content()
		must(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(content))}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	data, err := os.ReadFile(squashed.File(t, &in))
	must(t, err)
	r, err := rootfs.New(bytes.NewReader(data))
	must(t, err)
	return r
}

func made(t testing.TB, r *rootfs.Reader, older []*rootfs.Reader, wanted func(int64) bool) []byte {
	t.Helper()
	var patch bytes.Buffer
	must(t, blockpatch.Make(t.Context(), &patch, r, older, wanted, func(int64) {}))
	return patch.Bytes()
}

// contents are what a file's wanted blocks hold, sorted.
func contents(t testing.TB, r *rootfs.Reader, wanted func(int64) bool) (list []string) {
	t.Helper()
	seen := map[rootfs.Stored]bool{}
	must(t, r.Spans(func(_ string, spans []rootfs.Span) error {
		for _, s := range spans {
			if s.Size > 0 && wanted(s.Offset) && !seen[s.Stored] {
				seen[s.Stored] = true
				data, err := r.Expand(s.Stored)
				must(t, err)
				list = append(list, string(data))
			}
		}
		return nil
	}))
	slices.Sort(list)
	return list
}

func all(int64) bool { return true }

// A patch makes what blocks hold, out of files of the same path or of one that differs in
// numbers, whether they were moved by a byte or are ends of files; what is the same of two
// layers is taken from the upper one.
func TestMake(t *testing.T) {
	const lib, module = "usr/lib/libbig.so.1.2", "usr/lib/modules/6.1.0-50/kernel/%02d.ko"
	old := []file{{lib, 1, 3_000_000, false}}
	changed := []file{{"usr/lib/libbig.so.1.3", 1, 3_000_000, true}}
	for n := range 40 {
		old = append(old, file{fmt.Sprintf(module, n), uint64(100 + n), 30_000, false})
		changed = append(changed, file{fmt.Sprintf("usr/lib/modules/6.1.0-56/kernel/%02d.ko", n), uint64(100 + n), 30_000, true})
	}
	lower, upper := opened(t, append(old, file{"etc/both", 7, 400_000, false})...), opened(t, file{"etc/both", 8, 400_000, false})
	r := opened(t, append(changed, file{"etc/both", 8, 400_000, true}, file{"etc/new", 9, 20_000, false})...)
	patch := made(t, r, []*rootfs.Reader{lower, upper}, all)
	if len(patch) > 60_000 {
		t.Errorf("the patch has %d bytes", len(patch))
	}
	var got []string
	must(t, blockpatch.Apply(t.Context(), bytes.NewReader(patch), []*rootfs.Reader{lower, upper}, func(content []byte) error {
		got = append(got, string(content))
		return nil
	}))
	slices.Sort(got)
	if want := contents(t, r, all); !slices.Equal(got, want) {
		t.Errorf("%d blocks came of it, want %d", len(got), len(want))
	}
	if again := made(t, r, []*rootfs.Reader{lower, upper}, all); !bytes.Equal(patch, again) {
		t.Error("the same patch has other bytes")
	}
}

// Only what is wanted is made, and of nothing it is made all the same.
func TestMakeWanted(t *testing.T) {
	r := opened(t, file{"a", 1, 300_000, false}, file{"b", 2, 300_000, false})
	var first int64 = -1
	must(t, r.Spans(func(_ string, spans []rootfs.Span) error { first = max(first, spans[0].Offset); return nil }))
	wanted := func(off int64) bool { return off == first }
	var got []string
	must(t, blockpatch.Apply(t.Context(), bytes.NewReader(made(t, r, nil, wanted)), nil, func(content []byte) error {
		got = append(got, string(content))
		return nil
	}))
	if want := contents(t, r, wanted); len(want) != 1 || !slices.Equal(got, want) {
		t.Errorf("%d blocks came of it, want %d", len(got), len(want))
	}
}

// What is no patch of what is there is refused.
func TestApplyRefuses(t *testing.T) {
	old, r := opened(t, file{"a", 1, 300_000, false}), opened(t, file{"a", 1, 300_000, true})
	good := made(t, r, []*rootfs.Reader{old}, all)
	const head = "gitboot patch\n\x01"
	number := binary.AppendUvarint
	for what, patch := range map[string][]byte{
		"nothing":             nil,
		"something else":      []byte("gitboot blocks\n\x01"),
		"another version":     []byte("gitboot patch\n\x02\x00"),
		"cut":                 good[:len(good)/2],
		"without an end":      good[:len(good)-1],
		"more after its end":  append(slices.Clone(good), 0),
		"too many pieces":     number([]byte(head), 1<<20),
		"of another file":     append([]byte(head), 1, 1, 9),
		"at no place":         append([]byte(head), 1, 1, 0, 1, 2),
		"makes nothing":       append([]byte(head), 1, 0, 0),
		"makes too much":      number(append([]byte(head), 1, 0), 2<<20),
		"a frame too long":    number(append([]byte(head), 1, 0, 10), 100<<20),
		"a frame of nothing":  append([]byte(head), 1, 0, 10, 0, 0),
		"a frame that is not": append([]byte(head), 1, 0, 10, 3, 'x', 'y', 'z', 0),
	} {
		if err := blockpatch.Apply(t.Context(), bytes.NewReader(patch), []*rootfs.Reader{old}, func([]byte) error { return nil }); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	stop := errors.New("stop")
	if err := blockpatch.Apply(t.Context(), bytes.NewReader(good), []*rootfs.Reader{old}, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a failure of who takes it: %v", err)
	}
}

// FuzzApply changes bytes of a good patch; nothing may panic, or make more than a step may.
func FuzzApply(f *testing.F) {
	old, r := opened(f, file{"a", 1, 300_000, false}), opened(f, file{"a", 1, 300_000, true})
	good := made(f, r, []*rootfs.Reader{old}, all)
	f.Add(uint32(16), []byte{1, 1, 0, 0, 2})
	f.Add(uint32(0), []byte("gitboot patch\n\x01\x00"))
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		patch := slices.Clone(good)
		copy(patch[int(at)%len(patch):], change)
		_ = blockpatch.Apply(t.Context(), bytes.NewReader(patch), []*rootfs.Reader{old}, func(content []byte) error {
			if len(content) > 1<<20 {
				t.Fatalf("a block of %d bytes", len(content))
			}
			return nil
		})
	})
}
