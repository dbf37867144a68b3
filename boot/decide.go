package boot

// A Candidate is an entry that could boot by itself.
type Candidate struct {
	// Image is the entry's, and ID its own.
	Image, ID string
	// State is Good, Trying, Bad, Damaged, or "" where nothing is known.
	State string
}

// unfit says that a candidate is not to boot by itself if another can.
func (c Candidate) unfit() bool { return c.State == Bad || c.State == Damaged }

// Decide says what boots by itself of a menu's candidates, in its order, newest
// first: the one that somebody has chosen, unless it is bad or damaged, else the first
// image's newest, unless that is, else what is likeliest to boot. Only what is newest
// goes on trial: what is older and on trial was overtaken. Fallback is what boots if
// that does not. Each is "" if there is no such entry.
func Decide(all []Candidate, chosen string) (boots, fallback string) {
	if len(all) == 0 {
		return "", ""
	}
	first := all[0]
	for _, c := range all {
		if c.ID == chosen && !c.unfit() {
			first = c
		}
	}
	boots = first.ID
	if first.unfit() {
		boots = instead(all, first)
	}
	for _, c := range all {
		if c.ID == boots {
			first = c
		}
	}
	return boots, likeliest(all, first, Good, "")
}

// Last says what boots in place of a default where nothing else is thought to: what is
// on trial itself, else what is damaged, as either may boot all the same. It is "" if
// there is none, or only what was seen not to boot.
func Last(all []Candidate, boots string) string {
	for _, c := range all {
		if c.ID == boots {
			for _, state := range []string{Trying, Damaged} {
				if id := likeliest(all, c, state); id != "" {
					return id
				}
			}
		}
	}
	return ""
}

// instead returns what boots in place of an unfit candidate. What is damaged may
// boot all the same, what is bad was seen not to.
func instead(all []Candidate, unfit Candidate) string {
	for _, states := range [][]string{{Good, ""}, {Trying}} {
		if id := likeliest(all, unfit, states...); id != "" {
			return id
		}
	}
	if unfit.State == Damaged {
		return unfit.ID
	}
	return likeliest(all, unfit, Damaged)
}

// likeliest returns the newest candidate but one that is in the first of these
// states, of the same image, else of the menu's others; "" if there is none.
func likeliest(all []Candidate, but Candidate, states ...string) string {
	for _, same := range []bool{true, false} {
		for _, state := range states {
			for _, c := range all {
				if c.ID != but.ID && c.State == state && (c.Image == but.Image) == same {
					return c.ID
				}
			}
		}
	}
	return ""
}
