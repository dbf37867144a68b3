package plan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"time"
)

// MaxDrift is how much is remembered of what was not as it was written.
const MaxDrift = 20

// A Thing is what may not be as it was written.
type Thing string

// The things.
const (
	TheMenu     Thing = "menu"
	TheLink     Thing = "link"  // the boot loader's own menu, which sources ours
	TheBlock    Thing = "block" // in which the boot loader counts
	ACopy       Thing = "copy"  // of a kernel or an initramfs, for the boot loader
	TheManifest Thing = "manifest"
	AnObject    Thing = "object"
	TheHooks    Thing = "hooks" // the object of a deployment's hooks
)

// Shown reports whether it is one of the boot loader's.
func (t Thing) Shown() bool { return t == TheMenu || t == TheLink || t == TheBlock || t == ACopy }

// A Drift is something that is not as it was written last, whatever has changed it.
// The JSON fields are stable.
type Drift struct {
	Thing Thing `json:"thing"`
	// Path is below the stage, or absolute.
	Path string `json:"path"`
	// How completes "PATH …".
	How string `json:"how"`
	// Image and Generation are those that it is a part of, if it is of one.
	Image      string    `json:"image,omitempty"`
	Generation int       `json:"generation,omitempty"`
	Noticed    time.Time `json:"noticed"`
	// Mended is when it was as it should be again, the zero time if it is not yet.
	Mended time.Time `json:"mended,omitzero"`
}

// byOthers is how something is that others have written.
const byOthers = "was changed by something else"

// Changed is how something is that holds something else now, or nothing.
func Changed(there bool) string {
	if there {
		return byOthers
	}
	return "is missing"
}

// String says it for people.
func (d Drift) String() string {
	text := ShortPath(d.Path) + " " + d.How
	switch {
	case d.Image == "":
		return text
	case d.Generation == 0:
		return fmt.Sprintf("%s (%s)", text, d.Image)
	}
	return fmt.Sprintf("%s (%s, generation %d)", text, d.Image, d.Generation)
}

// ShortPath shortens what is named by its hash in a path for people.
func ShortPath(name string) string {
	dir, base := path.Split(name)
	if len(base) > 2*len(Short(base)) {
		base = Short(base)
	}
	return dir + base
}

// same reports whether two are one, whenever that was noticed.
func (d Drift) same(other Drift) bool {
	return d.Path == other.Path && d.How == other.How
}

// Standing is what is known not to be as it was written, and not mended.
func Standing(known []Drift) []Drift {
	return slices.DeleteFunc(slices.Clone(known), func(d Drift) bool { return !d.Mended.IsZero() })
}

// News are those of what is seen that are not known to stand.
func News(known, seen []Drift) (news []Drift) {
	for _, s := range seen {
		if !slices.ContainsFunc(known, func(k Drift) bool { return k.Mended.IsZero() && k.same(s) }) {
			news = append(news, s)
		}
	}
	return news
}

// Remember is what is known when news have come: what stood of the same things stands
// no more, and what was mended first is forgotten first.
func Remember(known, news []Drift, now time.Time) []Drift {
	out := slices.Clone(known)
	for i, k := range out {
		if k.Mended.IsZero() && slices.ContainsFunc(news, func(n Drift) bool { return n.Path == k.Path }) {
			out[i].Mended = now
		}
	}
	for _, n := range news {
		n.Noticed = now
		out = append(out, n)
	}
	slices.SortStableFunc(out, func(a, b Drift) int {
		return cmp.Or(standing(a)-standing(b), a.Noticed.Compare(b.Noticed))
	})
	return out[max(len(out)-MaxDrift, 0):]
}

// standing is 1 of what stands, which is forgotten last.
func standing(d Drift) int {
	if d.Mended.IsZero() {
		return 1
	}
	return 0
}

// Mend is what is known when these are all that is seen.
func Mend(known, seen []Drift, now time.Time) []Drift {
	out := slices.Clone(known)
	for i, k := range out {
		if k.Mended.IsZero() && !slices.ContainsFunc(seen, k.same) {
			out[i].Mended = now
		}
	}
	return out
}

// Notice has the plan tell what is not as it was written: why the menu is written, or
// linked, is that then.
func (p *Plan) Notice(news []Drift) {
	p.Drift = news
	for _, d := range news {
		if d.Thing == TheMenu {
			p.Menu = d.String()
		}
	}
}

// Odd reports whether what is observed gives reason to look for more that is not as
// it was written.
func (o Observed) Odd() bool {
	odd := func(g Generation) bool { return g.Damaged != "" || g.Unbootable != "" }
	for _, all := range o.Generations {
		if slices.ContainsFunc(all, odd) {
			return true
		}
	}
	for _, g := range o.Ready {
		if odd(g) {
			return true
		}
	}
	return o.MenuStale != "" || o.Unlinked
}

// whyLink says why the boot loader's menu has to source ours.
func (p Plan) whyLink() string {
	for _, d := range p.Drift {
		if d.Thing == TheLink {
			return d.String()
		}
	}
	return "the boot loader does not read the menu yet"
}

// notices are the actions that tell of it.
func (p Plan) notices() (actions []Action) {
	for _, d := range p.Drift {
		actions = append(actions, Action{Kind: NoticeDrift, Image: d.Image, Generation: d.Generation, Path: d.Path, Reason: d.How})
	}
	return actions
}
