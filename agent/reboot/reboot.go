// Package reboot decides whether a machine is restarted by itself to boot what is
// new. It restarts nothing: it says yes or no, why, and when to ask again.
//
// A machine is not restarted that has just started, so that none goes round in
// circles, and who has to stop it has the time to; nor one on which something goes on
// that a restart would end, be it that the boot which runs is still being judged.
package reboot

import (
	"fmt"
	"strings"
	"time"

	"github.com/gitboot/gitboot/schedule"
)

// A Policy is what a machine's owner allows.
type Policy string

// The policies. An empty one is Never.
const (
	Never  Policy = "never"  // people restart it
	Window Policy = "window" // in the windows that the config repo declares, if it does
	Always Policy = "always" // as soon as it is needed and nothing goes on
)

// Policies are the names of all.
func Policies() []string { return []string{string(Never), string(Window), string(Always)} }

// A Method is how a machine is restarted.
type Method string

// The methods. An empty one is Ordinary.
const (
	Ordinary Method = "reboot" // by firmware and boot loader
	Kexec    Method = "kexec"  // the running kernel starts the next, if it can
)

// Methods are the names of all.
func Methods() []string { return []string{string(Ordinary), string(Kexec)} }

// Options are what a machine's owner allows.
type Options struct {
	Policy Policy
	Method Method
	// Grace is how long before it who is logged in is told.
	Grace time.Duration
	// Patience is how long who is logged in, or a program that asks for it, may hold
	// a restart up.
	Patience time.Duration
	// Uptime is how long a machine runs before it is restarted.
	Uptime time.Duration
}

// DefaultUptime is long enough for somebody to log in and to say that a machine is
// left alone, and makes a loop of restarts one that can be watched.
const DefaultUptime = 15 * time.Minute

// ByItself reports whether the machine may be restarted without anybody doing it.
func (o Options) ByItself() bool { return o.Policy != "" && o.Policy != Never }

// ByKexec reports whether it is by kexec, where that can be.
func (o Options) ByKexec() bool { return o.Method == Kexec }

// Minutes is the notice in full minutes, which is how shutdown(8) counts.
func (o Options) Minutes() int { return int(o.Grace / time.Minute) }

// Allowed reports whether a machine may be restarted at a time, as far as its
// windows go. One that declares none may not: nobody has said when.
func Allowed(windows schedule.Windows, now time.Time) bool {
	_, open := windows.Open(now)
	return open && len(windows) > 0
}

// A Situation is all that the decision depends on.
type Situation struct {
	Policy  Policy
	Now     time.Time
	Windows schedule.Windows
	// Doubt says why the clock is not believed, "" if it is.
	Doubt string
	// Needed says why a restart would change what runs, "" if it would not.
	Needed string
	// Tried says that the machine was restarted for it before, and did not boot it.
	Tried bool
	// OnTrial says that the boot that runs is not judged yet. What ends now would have
	// cost a try, and would never be what the machine falls back to.
	OnTrial bool
	// Up is how long ago the machine was started, Uptime how long that has to be.
	Up, Uptime time.Duration
	// Busy is what a restart would end: a run, a build.
	Busy []string
	// Present is whom it would disturb: who is logged in, programs that ask for the
	// machine to stay up. They hold it up no longer than Patience, of which Held is
	// over.
	Present        []string
	Held, Patience time.Duration
}

// A Verdict says whether to restart now, and why, or why not.
type Verdict struct {
	Now bool
	Why string
	// At is when it may be, the zero time if that does not depend on a clock.
	At time.Time
	// Disturbs says that nothing but who is present holds it up.
	Disturbs bool
}

// Decide decides.
func Decide(s Situation) Verdict {
	switch {
	case s.Needed == "":
		return Verdict{Why: "what runs is what the next boot is"}
	case s.Policy == Never || s.Policy == "":
		return Verdict{Why: "people restart this machine"}
	case s.Tried:
		return Verdict{Why: "it was restarted for that before, and booted something else; look why, and restart it yourself"}
	case s.Policy == Window && len(s.Windows) == 0:
		return Verdict{Why: "no window is declared for it; declare reboot_windows for the machine in the config repo"}
	case s.Policy == Window && s.Doubt != "":
		return Verdict{Why: "it has its windows, and the clock is not set"}
	case s.Policy == Window && !Allowed(s.Windows, s.Now):
		return Verdict{Why: "it waits for a window", At: s.Windows.Next(s.Now)}
	case s.OnTrial:
		return Verdict{Why: "what runs is on trial, and its boot is not judged yet"}
	case s.Up < s.Uptime:
		return Verdict{Why: fmt.Sprintf("the machine has been up for less than %s", s.Uptime), At: s.Now.Add(s.Uptime - s.Up)}
	case len(s.Busy) > 0:
		return Verdict{Why: "it would end " + strings.Join(s.Busy, ", ")}
	case len(s.Present) > 0 && s.Held < s.Patience:
		return Verdict{Why: "it would disturb " + strings.Join(s.Present, ", "), At: s.Now.Add(s.Patience - s.Held), Disturbs: true}
	}
	return Verdict{Now: true, Why: s.Needed}
}
