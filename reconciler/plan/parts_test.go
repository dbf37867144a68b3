package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/reconciler/plan"
)

// Whatever a plan has that changes something, it is not empty; what only says why
// nothing is done leaves it so.
func TestEmpty(t *testing.T) {
	for what, c := range map[string]struct {
		p     plan.Plan
		empty bool
	}{
		"nothing":          {plan.Plan{}, true},
		"another revision": {plan.Plan{From: "r1", To: "r2"}, true},
		"what failed":      {plan.Plan{Failed: map[string]error{"a": errors.New("no")}}, true},
		"a build":          {plan.Plan{Builds: []plan.Build{{}}}, false},
		"a push":           {plan.Plan{Pushes: []plan.Push{{}}}, false},
		"a staging":        {plan.Plan{Stagings: []plan.Staging{{}}}, false},
		"a removal":        {plan.Plan{Removals: []plan.Removal{{}}}, false},
		"a menu":           {plan.Plan{Menu: "x"}, false},
		"a link":           {plan.Plan{Link: true}, false},
		"garbage":          {plan.Plan{Garbage: 1}, false},
	} {
		if got := c.p.Empty(); got != c.empty {
			t.Errorf("%s: empty is %t", what, got)
		}
	}
}

// A list is split where another kind begins, and no further.
func TestLeading(t *testing.T) {
	list := []plan.Action{{Kind: plan.AddLayer}, {Kind: plan.AddLayer}, {Kind: plan.WriteMenu}, {Kind: plan.AddLayer}}
	for kind, want := range map[plan.Kind]int{plan.AddLayer: 2, plan.WriteMenu: 0, "": 0} {
		if leading, rest := plan.Leading(list, kind); len(leading) != want || len(rest) != len(list)-want {
			t.Errorf("%q: %d and %d", kind, len(leading), len(rest))
		}
	}
	if leading, rest := plan.Leading(nil, plan.AddLayer); len(leading)+len(rest) > 0 {
		t.Errorf("of nothing: %v %v", leading, rest)
	}
}

func TestShort(t *testing.T) {
	for digest, want := range map[string]string{
		"sha256:" + strings.Repeat("a", 64): strings.Repeat("a", 12), strings.Repeat("b", 40): strings.Repeat("b", 12), "abc": "abc", "": "", "sha256:": "",
	} {
		if got := plan.Short(digest); got != want {
			t.Errorf("%q: %q", digest, got)
		}
	}
}
