package boot

import (
	"strings"
	"testing"
)

// candidates reads "a3 bad": an image, a generation and its state.
func candidates(text string) (all []Candidate) {
	for _, line := range strings.Split(text, ", ") {
		id, state, _ := strings.Cut(line, " ")
		all = append(all, Candidate{Image: id[:1], ID: id, State: state})
	}
	return all
}

func TestDecide(t *testing.T) {
	for what, c := range map[string]struct{ menu, chosen, boots, fallback string }{
		"the newest is on trial":            {"a3 trying, a2 good, a1 good, b1 good", "", "a3", "a2"},
		"the newest is good":                {"a3 good, a2 bad, a1 good", "", "a3", "a1"},
		"the newest is bad":                 {"a3 bad, a2 good, a1 good", "", "a2", "a1"},
		"two are bad":                       {"a3 bad, a2 bad, a1 good, b1 good", "", "a1", "b1"},
		"what was overtaken is not tried":   {"a4 bad, a3 trying, a2 good", "", "a2", ""},
		"of an older gitboot":               {"a3 , a2 , a1 ", "", "a3", "a2"},
		"good before not known":             {"a3 bad, a2 , a1 good", "", "a1", "a2"},
		"of an older gitboot after a bad":   {"a3 bad, a2 , b1 good", "", "a2", "b1"},
		"the first":                         {"a1 trying", "", "a1", ""},
		"the first, and another image":      {"a1 trying, b1 good", "", "a1", "b1"},
		"another image's is not known":      {"a1 trying, b1 trying, c1 ", "", "a1", "c1"},
		"one image is bad":                  {"a1 bad, b2 trying, b1 good", "", "b1", ""},
		"none is good":                      {"a2 bad, a1 trying, b1 trying", "", "a1", ""},
		"none is good of this image":        {"a2 bad, a1 bad, b1 trying", "", "b1", ""},
		"all are bad":                       {"a2 bad, b1 bad", "", "", ""},
		"the newest is damaged":             {"a3 damaged, a2 good, a1 good", "", "a2", "a1"},
		"chosen, and damaged":               {"a3 good, a2 damaged, a1 good", "a2", "a3", "a1"},
		"damaged, and on trial":             {"a2 damaged, a1 trying", "", "a1", ""},
		"damaged, and not replaced by bad":  {"a2 damaged, a1 bad, b1 bad", "", "a2", ""},
		"all are damaged":                   {"a2 damaged, a1 damaged", "", "a2", ""},
		"bad, and another is damaged":       {"a2 bad, a1 damaged", "", "a1", ""},
		"no fallback to what is damaged":    {"a3 trying, a2 damaged, a1 good", "", "a3", "a1"},
		"chosen":                            {"a3 good, a2 good, a1 ", "a1", "a1", "a3"},
		"chosen, on trial":                  {"a3 bad, a2 trying, a1 good", "a2", "a2", "a1"},
		"chosen, and bad":                   {"a3 good, a2 bad, b1 good", "a2", "a3", "b1"},
		"chosen, and bad, as the newest is": {"a3 bad, a2 bad, a1 good", "a2", "a1", ""},
		"chosen, and gone":                  {"a3 trying, a2 good", "a1", "a3", "a2"},
		"another image is chosen":           {"a3 good, b2 good, b1 good", "b2", "b2", "b1"},
		"another image is chosen, on trial": {"a3 good, b2 trying", "b2", "b2", "a3"},
	} {
		if boots, fallback := Decide(candidates(c.menu), c.chosen); boots != c.boots || fallback != c.fallback {
			t.Errorf("%s: %q boots, else %q; want %q, else %q", what, boots, fallback, c.boots, c.fallback)
		}
	}
	if boots, fallback := Decide(nil, "a1"); boots != "" || fallback != "" {
		t.Errorf("of nothing %q boots, else %q", boots, fallback)
	}
}

// Where nothing else is left, what may boot all the same does, but not what was seen
// not to.
func TestLast(t *testing.T) {
	for menu, want := range map[string]string{
		"a1 trying, b1 trying":                    "b1",
		"a3 trying, a2 bad, a1 trying, b1 trying": "a1",
		"a2 trying, a1 damaged, b1 trying":        "b1",
		"a2 good, a1 damaged":                     "a1",
		"a2 trying, a1 bad":                       "",
		"a1 trying":                               "",
	} {
		all := candidates(menu)
		if got := Last(all, all[0].ID); got != want {
			t.Errorf("of %s, %q boots at last, want %q", menu, got, want)
		}
	}
}
