package plan

import (
	"time"

	"github.com/gitboot/gitboot/schedule"
)

// A Restart is what decides whether the machine is restarted by itself to boot what
// is new.
type Restart struct {
	Now time.Time
	// Allowed says that agent.toml has it restart at all.
	Allowed bool
	// Next is the deployment that a restart would boot, "" if none is needed, and
	// Tried the one that this machine was restarted for before: one that did not
	// come up is not tried again and again.
	Next, Tried string
	// Windows are when it may be, at any time if there are none; Doubt says why the
	// clock is not believed that these go by, "" if it is.
	Windows schedule.Windows
	Doubt   string
	// Suspension holds it as it holds all else.
	Suspension *Suspension
}

// Due reports whether the machine is to be restarted now.
func (r Restart) Due() bool {
	if !r.Allowed || r.Next == "" || r.Next == r.Tried || r.Suspension.Stands(r.Now) {
		return false
	}
	_, open := r.Windows.Open(r.Now)
	return len(r.Windows) == 0 || r.Doubt == "" && open
}
