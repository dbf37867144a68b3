package partial

import (
	"math"
	"testing"

	"github.com/gitboot/gitboot/image/chunked"
)

func file(name string, chunks ...chunked.Chunk) chunked.File {
	f := chunked.File{Name: name, Chunks: chunks}
	for _, c := range chunks {
		f.Size += c.Size
	}
	return f
}

func chunk(off, end, size int64) chunked.Chunk {
	return chunked.Chunk{Offset: off, End: end, Size: size}
}

// What a table says of places is refused where it cannot be true of this blob.
func TestCheck(t *testing.T) {
	good := []chunked.File{file("a", chunk(1, 5, 10)), file("b", chunk(7, 9, 10), chunk(9, 100, 10))}
	if err := check(good, 100, 30); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		files         []chunked.File
		data, largest int64
	}{
		"beyond the files":      {good, 99, 30},
		"more than a layer has": {good, 100, 29},
		"more than a number":    {[]chunked.File{file("a", chunk(1, 5, math.MaxInt64)), file("b", chunk(5, 6, math.MaxInt64))}, 100, math.MaxInt64},
		"twice":                 {[]chunked.File{good[0], good[0]}, 100, 30},
		"one on the other":      {[]chunked.File{file("a", chunk(1, 5, 10)), file("b", chunk(4, 9, 10))}, 100, 30},
		"backwards":             {[]chunked.File{good[1], good[0]}, 100, 30},
	} {
		if check(c.files, c.data, c.largest) == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

// What lies near each other is one request, and there are never too many.
func TestRunsOf(t *testing.T) {
	at := func(offsets ...int64) (list []*piece) {
		for _, off := range offsets {
			list = append(list, &piece{Chunk: chunk(off, off+10, 20)})
		}
		return list
	}
	if runs := runsOf(nil); len(runs) > 0 {
		t.Errorf("%d requests for nothing", len(runs))
	}
	list := at(1, 11, gap+21, 2*gap+32)
	runs := runsOf(list)
	if len(runs) != 2 || runs[0].off != 1 || runs[0].end != gap+31 || len(runs[0].pieces) != 3 || list[3].run != runs[1] {
		t.Errorf("%d requests, the first %+v", len(runs), runs[0])
	}
	var many []int64
	for i := range int64(5 * maxRequests) {
		many = append(many, 1+i*(gap+1000))
	}
	list = at(many...)
	runs = runsOf(list)
	n := 0
	for _, r := range runs {
		n += len(r.pieces)
		for _, p := range r.pieces {
			if p.run != r || p.Offset < r.off || p.End > r.end {
				t.Fatalf("%+v is not in its run", p)
			}
		}
	}
	if len(runs) > maxRequests || n != len(list) {
		t.Errorf("%d requests for %d of %d pieces", len(runs), n, len(list))
	}
}
