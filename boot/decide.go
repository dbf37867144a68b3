package boot

// A Candidate is an entry that could boot by itself.
type Candidate struct {
	// Image is the entry's, and ID its own.
	Image, ID string
	// State is Good, Trying, Bad, or "" where nothing is known.
	State string
}

// Decide says what boots by itself of a menu's candidates, in its order, newest
// first: the one that somebody has chosen, unless it is bad, else the first image's
// newest, unless that is bad, else what is likeliest to boot. Only what is newest
// goes on trial: what is older and on trial was overtaken. Fallback is what boots if
// that does not. Each is "" if there is no such entry.
func Decide(all []Candidate, chosen string) (boots, fallback string) {
	if len(all) == 0 {
		return "", ""
	}
	first := all[0]
	for _, c := range all {
		if c.ID == chosen && c.State != Bad {
			first = c
		}
	}
	boots = first.ID
	if first.State == Bad {
		if boots = likeliest(all, first, Good, ""); boots == "" {
			boots = likeliest(all, first, Trying)
		}
	}
	for _, c := range all {
		if c.ID == boots {
			first = c
		}
	}
	return boots, likeliest(all, first, Good, "")
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
