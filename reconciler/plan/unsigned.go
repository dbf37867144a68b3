package plan

import "cmp"

// An Unsigned is an image whose new deployment somebody elsewhere has to sign before it
// is published here.
type Unsigned struct {
	Image string
	// By is who signs it.
	By string
	// Deployment is what it becomes, and Cmdline what that boots by; "" as long as it is
	// not staged, and nobody could be asked for its signature.
	Deployment, Cmdline string
	// Failure is why that could not be asked for, "" if it could.
	Failure string
}

// signatures are the reasons that signatures end.
func (p Publication) signatures() (holds []Hold) {
	for _, u := range p.Unsigned {
		hold := Hold{Why: "for a signature of " + u.Image + " by " + u.By, Firm: true}
		if u.Deployment == "" {
			hold.Note = "it is asked for when that is staged"
		} else {
			hold.Why = "for a signature of deployment " + Short(u.Deployment) + " of " + u.Image + " by " + u.By
			hold.Note = cmp.Or(u.Failure, "it would boot with: "+u.Cmdline)
		}
		holds = append(holds, hold)
	}
	return holds
}

// Asks reports whether something was staged whose signature may be there: another run
// finds out.
func (p Plan) Asks() bool {
	for _, u := range p.Unsigned {
		if u.Deployment == "" && p.Failed[u.Image] == nil {
			return true
		}
	}
	return false
}
