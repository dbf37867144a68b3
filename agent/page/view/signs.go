package view

import (
	"github.com/gitboot/gitboot/internal/plain"
	"github.com/gitboot/gitboot/reconciler/plan"
)

// A Signing is how far this machine is with what another boots: Is says it in a word.
type Signing struct {
	Machine, Is, Tone string
	// Revision is the last one of which all is signed, "" for none yet, Since when that
	// was so first.
	Revision string
	Since    Time
}

func signs(f Facts) (out []Signing) {
	for _, s := range f.Staged.Signs {
		one := Signing{Machine: plain.Line(s.Machine), Is: "signed", Tone: Good, Revision: plan.Short(s.Revision), Since: At(s.Time)}
		switch {
		case s.Failure != nil:
			one.Is, one.Tone = "fails", Bad
		case s.Revision == "" || f.Live.Wanted.Hash != "" && s.Revision != f.Live.Wanted.Hash:
			one.Is, one.Tone = "pending", Busy
		}
		out = append(out, one)
	}
	return out
}
