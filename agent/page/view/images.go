package view

import (
	"strconv"
	"strings"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
	"github.com/gitboot/gitboot/reconciler/report"
	"github.com/gitboot/gitboot/rootfs/packages"
)

// An Image is one of the boot menu's.
type Image struct {
	Name, Digest, Origin string
	Checked              Time
	// Built is when it was built here, Log that there is a log of that.
	Built       Time
	Log         bool
	Published   string
	Generations []Generation
}

// A Generation is one entry of the menu, or more, of an image.
type Generation struct {
	// Name is IMAGE:NUMBER, by which it is acted on.
	Name, Number, Deployment, Revision string
	Created                            Time
	Marks                              []Mark
	Pinned                             bool
	Default                            bool
	// Packages says in a line what changed against the one before, Changes
	// the first of it each.
	Packages string
	Changes  []string
	// Fetched is what is not as usual of how it was fetched, "" if nothing is.
	Fetched string
}

// A Mark is a word about a generation, and its colour.
type Mark struct{ Word, Tone, Why string }

func images(f Facts) (out []Image) {
	for _, s := range f.Staged.Images {
		img := Image{Name: s.Name, Digest: plan.Short(s.Digest), Checked: At(s.Checked), Origin: origin(s)}
		for _, b := range f.Staged.Builds {
			if b.Image == s.Name {
				img.Built, img.Log = At(b.Built), true
			}
		}
		for _, p := range f.Staged.Pushes {
			if p.Image == s.Name && p.Digest != "" {
				img.Published = plain.Line(p.Ref)
			}
		}
		for i, g := range s.Generations {
			img.Generations = append(img.Generations, generation(s.Name, g, i == 0, g.Entry == f.Staged.Default))
		}
		out = append(out, img)
	}
	return out
}

func origin(s report.ImageStatus) string {
	var words []string
	if s.Tag != "" {
		words = append(words, "tag "+plain.Line(s.Tag))
	}
	if s.Within != "" {
		words = append(words, "within "+plain.Line(s.Within))
	}
	if s.Signed {
		words = append(words, "signature verified")
	}
	return strings.Join(words, ", ")
}

func number(n int) string { return strconv.Itoa(n) }

func generation(image string, g report.GenerationStatus, newest, isDefault bool) Generation {
	out := Generation{
		Name: image + ":" + number(g.Generation), Number: number(g.Generation), Deployment: plan.Short(g.Deployment), Revision: plan.Short(g.Revision),
		Created: At(g.Created), Pinned: g.Pin != nil, Default: isDefault,
	}
	mark := func(is bool, word, tone, why string) {
		if is {
			out.Marks = append(out.Marks, Mark{word, tone, plain.Line(why)})
		}
	}
	mark(g.Booted, "runs now", Good, "")
	mark(g.State == boot.Good, "good", Good, "")
	mark(g.State == boot.Trying, "on trial", Busy, "")
	if g.State == boot.Bad {
		mark(true, "bad", Bad, g.Verdict.Reason)
	}
	mark(isDefault, "default", Calm, "")
	mark(newest, "newest", Calm, "")
	if g.Pin != nil {
		mark(true, "pinned", Held, g.Pin.Label)
	}
	mark(g.Damaged != "", "damaged", Bad, g.Damaged)
	mark(g.Hidden != "", "not in the menu", Busy, g.Hidden)
	out.Fetched = plain.Line(g.Fetched.Words())
	if g.Packages != nil {
		out.Packages, out.Changes = g.Packages.Count.String(), changes(*g.Packages)
	}
	return out
}

func changes(s packages.Summary) (out []string) {
	total := s.Upgraded + s.Downgraded + s.Changed + s.Added + s.Removed
	for _, c := range s.First {
		out = append(out, plain.Line(string(c.Op)+" "+c.String()))
	}
	if more := total - len(s.First); more > 0 && len(out) > 0 {
		out = append(out, "and "+number(more)+" more")
	}
	return out
}
