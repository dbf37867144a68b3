package steps

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/internal/progress"
)

// What buildah 1.28 prints of two stages, the first step from the cache.
const printed = `[1/2] STEP 1/3: FROM sha256:32b6fe42cb89bddfb809ee239a7ee129f813c3134078d1b50597154006675f32 AS a
[1/2] STEP 2/3: RUN apt-get update
--> Using cache 3d01693fd6cd7f6fd8fa8bc2d44ecb4b076e000c1f6815f6bcf4c5de8493e3ce
[1/2] STEP 3/3: RUN make
10%` + "\r" + `100%
cc -o x` + "\x1b[1m" + ` x.c
[2/2] STEP 1/2: FROM 87a1bb3e1aa50f4333f8e3bb572bbef087e32ba4c8bb8cdc9f1e8030ff946e54
[2/2] STEP 2/2: COPY --from=a /x /
[2/2] COMMIT
no end of line`

// readSteps gives the text in pieces and returns what is reported.
func readSteps(text string, piece int) (seen []progress.Build, used map[string]bool) {
	task := progress.StartBuild(func(ev progress.Event) { seen = append(seen, *ev.Build) }, "x", "why")
	r := NewReader(task, 3)
	w := plain.Lines(r.Line)
	for part := range slices.Chunk([]byte(text), piece) {
		w.Write(part)
	}
	return seen, r.Used()
}

func TestSteps(t *testing.T) {
	for _, piece := range []int{1, 7, len(printed)} {
		seen, used := readSteps(printed, piece)
		want := []progress.Build{
			{Reason: "why"},
			{Reason: "why", Step: 1, Steps: 3, Doing: "RUN apt-get update"},
			{Reason: "why", Step: 1, Steps: 3, Doing: "RUN apt-get update", Cached: 1},
			{Reason: "why", Step: 2, Steps: 3, Doing: "RUN make", Cached: 1},
			{Reason: "why", Step: 2, Steps: 3, Doing: "RUN make", Cached: 1, Line: "100%"},
			{Reason: "why", Step: 2, Steps: 3, Doing: "RUN make", Cached: 1, Line: "cc -o x x.c"},
			{Reason: "why", Step: 3, Steps: 3, Doing: "COPY --from=a /x /", Cached: 1},
			{Reason: "why", Step: 3, Steps: 3, Doing: "COPY --from=a /x /", Cached: 1, Line: "[2/2] COMMIT"},
		}
		if !slices.Equal(seen, want) {
			t.Errorf("in pieces of %d:\n%+v\nwant\n%+v", piece, seen, want)
		}
		if len(used) != 1 || !used["3d01693fd6cd7f6fd8fa8bc2d44ecb4b076e000c1f6815f6bcf4c5de8493e3ce"] {
			t.Errorf("%v is used", used)
		}
	}
}

func TestCountSteps(t *testing.T) {
	for text, want := range map[string]int{
		"ARG A=1\nFROM $A AS x\n# comment\nRUN a \\\n  b\n\nARG B\nFROM x\nCOPY a b\nENV x=y\n": 4,
		"RUN before any\n": 0, "": 0,
	} {
		if got := Count([]byte(text)); got != want {
			t.Errorf("%q has %d steps, not %d", text, got, want)
		}
	}
}

func FuzzSteps(f *testing.F) {
	f.Add(printed, 3)
	f.Add("STEP 1/1: \x1b]0;x\n--> Using cache "+strings.Repeat("a", 64)+"\n", 1)
	f.Add(strings.Repeat("x", 10000), 100)
	f.Fuzz(func(t *testing.T, text string, piece int) {
		seen, used := readSteps(text, max(1, piece))
		for _, b := range seen {
			if len(b.Line) > 8<<10 || strings.ContainsFunc(b.Line+b.Doing, unicode.IsControl) {
				t.Errorf("%q, %q", b.Doing, b.Line)
			}
		}
		for id := range used {
			if len(id) != 64 || strings.ContainsAny(id, "/.") {
				t.Errorf("%q is taken for an image", id)
			}
		}
	})
}
