package workshop

import (
	"slices"
	"testing"

	"github.com/gitboot/gitboot/reconciler/state"
)

// Patches are made from what was pushed before, newest first, whatever was pushed again.
func TestEarlier(t *testing.T) {
	for what, c := range map[string]struct {
		known  state.Push
		digest string
		most   int
		want   []string
	}{
		"the first":                 {state.Push{}, "a", 3, nil},
		"the second":                {state.Push{Digest: "a"}, "b", 3, []string{"a"}},
		"the same again":            {state.Push{Digest: "b", Earlier: []string{"a"}}, "b", 3, []string{"a"}},
		"more than are asked for":   {state.Push{Digest: "c", Earlier: []string{"b", "a"}}, "d", 2, []string{"c", "b"}},
		"fewer are asked for now":   {state.Push{Digest: "c", Earlier: []string{"b", "a"}}, "d", 1, []string{"c"}},
		"none is asked for":         {state.Push{Digest: "c", Earlier: []string{"b", "a"}}, "d", 0, nil},
		"an earlier one comes back": {state.Push{Digest: "b", Earlier: []string{"a"}}, "a", 3, []string{"b"}},
		"and goes":                  {state.Push{Digest: "a", Earlier: []string{"b"}}, "c", 3, []string{"a", "b"}},
		"one that was named twice":  {state.Push{Digest: "b", Earlier: []string{"b", "a", "a"}}, "c", 3, []string{"b", "a"}},
	} {
		if got := earlier(&c.known, c.digest, c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
