package buildah

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// What is kept stays with what it is made of; of the rest, what was used last.
func TestChoose(t *testing.T) {
	at := func(hour int) time.Time { return time.Unix(int64(hour)*3600, 0) }
	image := func(id string, last int, chain ...string) *cached {
		return &cached{storedImage: storedImage{ID: id, Layer: chain[0]}, chain: chain, last: at(last)}
	}
	// base ← step ← kept, and base ← old, base ← recent ← child
	view := func() *cacheView {
		return &cacheView{sizes: map[string]int64{"B": 10, "S": 10, "K": 10, "O": 10, "R": 10, "C": 10}, images: []*cached{
			image("base", 0, "B"), image("step", 1, "S", "B"), image("kept", 1, "K", "S", "B"),
			image("old", 2, "O", "B"), image("recent", 3, "R", "B"), image("child", 5, "C", "R", "B"),
		}}
	}
	for limit, want := range map[int64]string{
		60: "base child kept old recent step",
		59: "base child kept recent step",
		50: "base child kept recent step",
		49: "base kept recent step", // a child goes before its parent, which was used as late
		30: "base kept step",
		1:  "base kept step",
	} {
		v := view()
		v.raise()
		var got []string
		for _, i := range v.choose([]string{"sha256:kept"}, limit) {
			got = append(got, i.ID)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("within %d: %q, want %q", limit, got, want)
		}
	}
	if left := view().choose(nil, 0); len(left) > 0 {
		t.Errorf("nothing is kept, and %d stay", len(left))
	}
}

func TestChain(t *testing.T) {
	if got := chain("c", map[string]string{"c": "b", "b": "a", "a": ""}); !slices.Equal(got, []string{"c", "b", "a"}) {
		t.Errorf("%q", got)
	}
	if got := chain("a", map[string]string{"a": "b", "b": "a"}); len(got) > 3 { // a damaged store
		t.Errorf("a ring of layers is %d long", len(got))
	}
}
