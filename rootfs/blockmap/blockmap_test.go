package blockmap_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/gitboot/gitboot/rootfs/blockmap"
	"github.com/gitboot/gitboot/tests/squashed"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// noise are bytes that do not compress, the same of the same seed.
func noise(seed uint64, n int) []byte {
	r, b := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// pack squashes files, named by their numbers, as the stage does, and a folder so large
// that squashfs has an index of it.
func pack(t testing.TB, files map[int][]byte) []byte {
	t.Helper()
	var in bytes.Buffer
	w := tar.NewWriter(&in)
	for i := range 3000 {
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("links/a-name-that-takes-some-room-%d", i), Typeflag: tar.TypeSymlink, Linkname: "x"}))
	}
	for _, n := range slices.Sorted(maps.Keys(files)) {
		must(t, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("files/%d", n), Mode: 0o644, Size: int64(len(files[n]))}))
		_, err := w.Write(files[n])
		must(t, err)
	}
	must(t, w.Close())
	data, err := os.ReadFile(squashed.File(t, &in))
	must(t, err)
	return data
}

func mapOf(t testing.TB, object []byte) blockmap.Map {
	t.Helper()
	m, err := blockmap.Of(t.Context(), bytes.NewReader(object), int64(len(object)))
	must(t, err)
	return m
}

// object is of files with whole blocks, ends of blocks, a hole, and of nothing but an
// end; those of the numbers that are changed have a byte more at the beginning.
func object(t testing.TB, changed ...int) []byte {
	files := map[int][]byte{}
	for n := range 20 {
		files[n] = noise(uint64(n), 20_000*n)
	}
	files[50] = append(make([]byte, 1<<20), noise(50, 1000)...)
	for _, n := range changed {
		files[n] = append([]byte{1}, files[n]...)
	}
	return pack(t, files)
}

// A map leaves nothing out, says what is there, and is the same for the same object.
func TestMap(t *testing.T) {
	data := object(t)
	m := mapOf(t, data)
	if m.Size() != int64(len(data)) || len(m) < 40 {
		t.Fatalf("%d blocks of %d bytes of %d", len(m), m.Size(), len(data))
	}
	off := 0
	for i, b := range m {
		if !b.Is(data[off : off+int(b.Length)]) {
			t.Fatalf("block %d is another", i)
		}
		off += int(b.Length)
	}
	encoded := m.Encode()
	again, err := blockmap.Parse(encoded, int64(len(data)))
	if err != nil || !slices.Equal(again, m) || !bytes.Equal(again.Encode(), mapOf(t, data).Encode()) {
		t.Errorf("read again: %v", err)
	}
	if n := len(encoded); n > 20*len(m)+40 {
		t.Errorf("%d bytes for %d blocks", n, len(m))
	}
}

// Of an object in which one file has changed, little more than that is missing; and it is
// put together of what was found and what was missing.
func TestSearch(t *testing.T) {
	old, changed := object(t), object(t, 12)
	m := mapOf(t, changed)
	for what, c := range map[string]struct {
		files [][]byte
		most  int64 // bytes that may be missing
	}{
		"the older":   {[][]byte{old}, 12*20_000 + 300_000},
		"itself":      {[][]byte{old, changed}, 0},
		"nothing":     {nil, int64(len(changed))},
		"another one": {[][]byte{pack(t, map[int][]byte{1: noise(99, 300_000)})}, int64(len(changed))},
	} {
		s := m.Search()
		for i, f := range c.files {
			s.In(i, mapOf(t, f))
		}
		places := s.Places()
		if s.Done() != (c.most == 0) {
			t.Errorf("%s: done %v", what, s.Done())
		}
		for _, limit := range []int{1, 3, 1000} {
			runs := m.Missing(places, 0, limit)
			if len(runs) > limit {
				t.Errorf("%s: %d runs of %d", what, len(runs), limit)
			}
			got, fetched := join(m, places, runs, c.files, changed)
			if !bytes.Equal(got, changed) {
				t.Errorf("%s: joined something else", what)
			}
			if limit == 1000 && fetched > c.most {
				t.Errorf("%s: %d bytes are missing, of at most %d", what, fetched, c.most)
			}
		}
	}
}

// join puts an object together: the blocks of runs from all, others from where they are.
func join(m blockmap.Map, places []blockmap.Place, runs []blockmap.Run, files [][]byte, all []byte) (got []byte, fetched int64) {
	for i, b := range m {
		if len(runs) > 0 && runs[0].End == i {
			runs = runs[1:]
		}
		if len(runs) > 0 && runs[0].First <= i {
			if i == runs[0].First {
				fetched += runs[0].Length
			}
			got = append(got, all[len(got):len(got)+int(b.Length)]...)
		} else {
			got = append(got, files[places[i].File][places[i].Offset:][:b.Length]...)
		}
	}
	return got, fetched
}

// What lies between two runs is fetched with them if it is little.
func TestGaps(t *testing.T) {
	lengths, found := []int32{10, 1, 10, 5, 10, 7, 10, 3, 2}, []bool{false, true, false, true, false, true, false, true, true}
	m, places := make(blockmap.Map, len(lengths)), make([]blockmap.Place, len(lengths))
	for i := range m {
		m[i].Length, places[i] = lengths[i], blockmap.Nowhere
		if found[i] {
			places[i] = blockmap.Place{}
		}
	}
	for _, c := range []struct {
		gap   int64
		limit int
		want  []blockmap.Run
	}{
		{0, 9, []blockmap.Run{{0, 1, 0, 10}, {2, 3, 11, 10}, {4, 5, 26, 10}, {6, 7, 43, 10}}},
		{5, 9, []blockmap.Run{{0, 5, 0, 36}, {6, 7, 43, 10}}},
		{0, 3, []blockmap.Run{{0, 3, 0, 21}, {4, 5, 26, 10}, {6, 7, 43, 10}}},
		{0, 1, []blockmap.Run{{0, 7, 0, 53}}},
	} {
		if got := m.Missing(places, c.gap, c.limit); !slices.Equal(got, c.want) {
			t.Errorf("gaps of %d, %d runs: %v", c.gap, c.limit, got)
		}
	}
}

// What is no map of the object is refused.
func TestRefused(t *testing.T) {
	data := object(t)
	size := int64(len(data))
	good := mapOf(t, data).Encode()
	for what, bad := range map[string][]byte{
		"nothing":         nil,
		"later":           bytes.Replace(good, []byte("blocks\n\x01"), []byte("blocks\n\x02"), 1),
		"cut":             good[:len(good)-1],
		"cut in the head": good[:17],
		"longer":          append(bytes.Clone(good), 0),
		"too many":        append([]byte("gitboot blocks\n\x01"), 5, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"empty blocks":    append([]byte("gitboot blocks\n\x01"), append([]byte{0, 1, 0}, make([]byte, 16)...)...),
	} {
		n := size
		switch what {
		case "too many":
			n = 5
		case "empty blocks":
			n = 0
		}
		if m, err := blockmap.Parse(bad, n); err == nil {
			t.Errorf("%s: %d blocks", what, len(m))
		}
	}
	if _, err := blockmap.Parse(good, size+1); err == nil {
		t.Error("it is of another size, and was read")
	}
	if _, err := blockmap.Of(t.Context(), bytes.NewReader(data[100:]), size-100); err == nil {
		t.Error("a map of no squashfs")
	}
}

// FuzzParse: what is read is what would be written, but for how integers are.
func FuzzParse(f *testing.F) {
	m := blockmap.Map{{Length: 96}, {Length: 1 << 20}, {Length: 3}}
	f.Add(m.Encode(), m.Size())
	f.Add([]byte("gitboot blocks\n\x01\x80\x00"), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, size int64) {
		m, err := blockmap.Parse(data, size)
		if err != nil {
			return
		}
		again, err := blockmap.Parse(m.Encode(), size)
		if err != nil || !slices.Equal(m, again) || m.Size() != size {
			t.Errorf("%d blocks became %d, %v", len(m), len(again), err)
		}
	})
}

// FuzzOf changes bytes of a good object: its map is of all of it, or there is none.
func FuzzOf(f *testing.F) {
	good := pack(f, map[int][]byte{0: noise(0, 300_000), 1: make([]byte, 300_000)})
	f.Add(uint32(0), []byte("hsqs"))
	f.Add(uint32(64), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(len(good)-3000), []byte{1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := bytes.Clone(good)
		copy(b[int(at)%len(b):], change)
		m, err := blockmap.Of(t.Context(), bytes.NewReader(b), int64(len(b)))
		if err == nil && m.Size() != int64(len(b)) {
			t.Errorf("a map of %d bytes of %d", m.Size(), len(b))
		}
	})
}
